// SPDX-License-Identifier: Apache-2.0
//
// etcd's range reads over the key index: filters, order, limit, count. Pure functions of an index
// at a revision; the caller knows which revisions may be asked for. Engine thread only.
#ifndef JETD_REVISION_RANGE_H_
#define JETD_REVISION_RANGE_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "base/types.h"
#include "revision/key_index.h"
#include "revision/request.h"
#include "revision/value_cache.h"

namespace jetd::revision {

// True if the answer's order is another than that of the keys, ascending. etcd takes an order of
// "none" on any other target than the key as ascending.
[[nodiscard]] bool NeedsSort(const RangeOp& op);

// RangeCollector takes the live versions of a range in key order and makes etcd's answer of them.
//
//   count   every key offered, whatever limit and filters say
//   kvs     those that pass the filters, up to the limit; of a range that is to be sorted all of
//           them, for SortAndCut. Where only a target is given and no order, nor filters, etcd
//           sorts just the first limit + 1 by key, and so does this.
//   more    one more than the limit passed the filters; never with count_only
class RangeCollector {
 public:
  explicit RangeCollector(const RangeOp& op);

  // True if it is among kvs.
  bool Offer(const KvBlock* kv);
  [[nodiscard]] int64_t count() const { return count_; }
  [[nodiscard]] int64_t passed() const { return passed_; }
  [[nodiscard]] bool more() const { return passed_ > limit_; }
  // Not owned: take references before the index changes.
  [[nodiscard]] std::vector<const KvBlock*> TakeKvs() { return std::move(kvs_); }

  // For a range that is read in steps: what was counted before.
  void Resume(int64_t count, int64_t passed) {
    count_ = count;
    passed_ = passed;
  }

 private:
  [[nodiscard]] bool Passes(const KvBlock* kv) const;

  const RangeOp& op_;
  const bool sort_;
  const bool filter_;
  const int64_t limit_;  // INT64_MAX for none
  const int64_t keep_;   // of those that passed
  int64_t count_ = 0;
  int64_t passed_ = 0;
  std::vector<const KvBlock*> kvs_;
};

// Puts a sorted range's versions, as RangeCollector left them, into its order and cuts them at its
// limit. Equal ones stay in key order. REQUIRES: all hot, if sorted by value.
void SortAndCut(const RangeOp& op, std::vector<const KvBlock*>* kvs);

// etcd's rule for a compare at `at`: every key of the range must compare so. An empty range
// compares as one key with all numbers 0, except that a value never compares with what is not
// there.
[[nodiscard]] bool Compares(const KeyIndex& index, const ValueCache& values, const Compare& compare,
                            Revision at);

}  // namespace jetd::revision

#endif  // JETD_REVISION_RANGE_H_
