// SPDX-License-Identifier: Apache-2.0
//
// The few numbers that every room speaks of, each a type of its own, so that a revision is never
// taken for a sequence. All are plain values: copy them, compare them, hash them.
#ifndef JETD_BASE_TYPES_H_
#define JETD_BASE_TYPES_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <ostream>
#include <utility>

namespace jetd {

// A number with a name. `Tag` makes each instance a type of its own; `Rep` is its integer.
// There is no arithmetic between two of them: `Next()` and `value()` say what is meant.
template <typename Tag, typename Rep>
class StrongInt {
 public:
  using rep = Rep;
  constexpr StrongInt() = default;
  constexpr explicit StrongInt(Rep value) : value_(value) {}

  [[nodiscard]] constexpr Rep value() const { return value_; }
  [[nodiscard]] constexpr StrongInt Next() const { return StrongInt(value_ + 1); }
  [[nodiscard]] constexpr StrongInt Prev() const { return StrongInt(value_ - 1); }

  friend constexpr auto operator<=>(StrongInt a, StrongInt b) = default;
  template <typename H>
  friend H AbslHashValue(H h, StrongInt v) {
    return H::combine(std::move(h), v.value_);
  }
  friend std::ostream& operator<<(std::ostream& out, StrongInt v) { return out << v.value_; }

 private:
  Rep value_ = 0;
};

// etcd's revision: one per transaction that changes something. The empty store is at 1; 0 means
// "none" or, in a request, "the newest".
using Revision = StrongInt<struct RevisionTag, int64_t>;

// Position of a record in the tenant's stream. The first record is 1; 0 means "before the first".
using StreamSeq = StrongInt<struct StreamSeqTag, uint64_t>;

// etcd's lease id. 0 means "no lease".
using LeaseId = StrongInt<struct LeaseIdTag, int64_t>;

// etcd's watch id, chosen per watch stream. -1 is the id of answers to progress requests.
using WatchId = StrongInt<struct WatchIdTag, int64_t>;

// Leadership term: grows by one with every leader. Shown to clients as raft_term.
using Term = StrongInt<struct TermTag, uint64_t>;

}  // namespace jetd

#endif  // JETD_BASE_TYPES_H_
