// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_LEASE_TABLE_H_
#define JETD_REVISION_LEASE_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "revision/kv.h"

namespace jetd::revision {

// LeaseTable knows which leases there are and which keys hang on each. A key is attached by its
// newest version, so a set of block addresses (about 10 bytes a key) is enough; whoever replaces a
// newest version detaches the old block and attaches the new one. It owns no blocks.
//
// A version whose lease is not in the table (a restored bucket may have such) is attached to
// nothing, as in etcd.
//
// Thread rules: the engine thread only.
class LeaseTable {
 public:
  // REQUIRES: the lease is not there.
  void Grant(LeaseId id, int64_t ttl_s);
  // Forgets the lease and what is attached. Returns its TTL; nothing if it was not there.
  std::optional<int64_t> Remove(LeaseId id);

  // Both take any version, and do nothing for a tombstone or one without a lease.
  void Attach(const KvBlock* newest);
  void Detach(const KvBlock* newest);
  // `now` is the same version in another block.
  void Replace(const KvBlock* old, const KvBlock* now);

  [[nodiscard]] std::optional<int64_t> TtlSeconds(LeaseId id) const;
  [[nodiscard]] size_t KeyCount(LeaseId id) const;
  // Sorted.
  [[nodiscard]] std::vector<std::string> Keys(LeaseId id) const;
  // Sorted.
  [[nodiscard]] std::vector<LeaseId> Ids() const;
  [[nodiscard]] size_t size() const { return leases_.size(); }

 private:
  struct Lease {
    int64_t ttl_s = 0;
    absl::flat_hash_set<const KvBlock*> attached;
  };

  absl::flat_hash_map<LeaseId, Lease> leases_;
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_LEASE_TABLE_H_
