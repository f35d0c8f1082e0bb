// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_HASH_MEMORY_H_
#define JETD_ETCDAPI_HASH_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "absl/status/statusor.h"
#include "base/types.h"
#include "revision/committer.h"
#include "revision/store.h"

namespace jetd::etcdapi {

// HashMemory answers HashKV, and lets a sum that was asked for outlive the compaction of its
// revision:
//
//   HashKv(7) = x     compaction at 7     HashKv(7) = x     compaction at 9     HashKv(7) = x
//
// etcd does this for the newest ten compactions, until it is restarted. It computes the sum in each
// compaction, a pass over all keys and values; here only a sum that somebody asked for before is
// known afterwards. Forgets everything when this member begins to lead or
// to follow.
//
// Thread rules: engine thread only.
class HashMemory : public revision::Committer::Listener {
 public:
  // As many as etcd's.
  static constexpr size_t kCompactions = 10;

  explicit HashMemory(const revision::Store* store) : store_(store) {}

  // Store::HashKv, or what it once said.
  [[nodiscard]] absl::StatusOr<revision::Store::HashResult> HashKv(Revision revision);

  // Committer::Listener.
  void OnLeading(Term term) override;
  void OnFollowing(Term term) override { OnLeading(term); }
  void OnCompacted(Revision revision) override;

 private:
  struct Compaction {
    Revision revision;
    std::optional<revision::Store::HashResult> sum;
  };

  const revision::Store* const store_;
  // Asked for since the newest compaction, oldest first; no revision twice.
  std::deque<revision::Store::HashResult> computed_;
  std::deque<Compaction> compactions_;  // oldest first
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_HASH_MEMORY_H_
