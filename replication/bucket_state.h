// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_BUCKET_STATE_H_
#define JETD_REPLICATION_BUCKET_STATE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "base/types.h"
#include "revision/kv.h"
#include "revision/store.h"

namespace jetd::replication {

// What a store held at one moment: its live keys with all their numbers, and its leases. What a
// restore writes, wherever it was read: a stream, a snapshot file, an etcd that runs. Plain data;
// one thread at a time.
struct BucketState {
  Revision revision{1};                            // the moment
  Revision newest{1};                              // that its source is known to have given out
  std::vector<revision::KvRef> keys;               // hot; ascending by mod once mended
  std::vector<revision::Store::LeaseInfo> leases;  // ascending by id once mended

  // Of keys and values.
  [[nodiscard]] uint64_t bytes() const;
};

struct Mends {
  uint64_t renumbered = 0;  // numbers that contradict each other
  uint64_t detached = 0;    // from a lease that is not there
};
// Puts keys and leases in order and makes their numbers such as a store of jetd may hold, whatever
// server gave them: 2 <= create <= mod, version 1 just where create is mod, an order among the
// changes of one revision (by key, where the source tells none), leases of a length that can be
// granted, no key on a lease that is not there. A state of etcd's or jetd's own is left as it is.
// InvalidArgument: a key comes twice, or a key or revision is none.
[[nodiscard]] absl::StatusOr<Mends> Mend(BucketState* state);

// One key with numbers such as Mend gives it; the same reference if they were right.
[[nodiscard]] revision::KvRef MendedKey(const revision::KvRef& kv);

// HashKV (revision/hash_kv.h) of a store that holds this state and is compacted at its newest
// revision, whatever that is.
[[nodiscard]] uint32_t HashOf(const BucketState& state);
// The same, key by key in the order of mod; begin with HashOf({}).
[[nodiscard]] uint32_t ExtendHash(uint32_t hash, const revision::KvBlock& kv);

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_BUCKET_STATE_H_
