// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_SNAPSHOT_H_
#define JETD_REVISION_SNAPSHOT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "base/types.h"
#include "revision/kv.h"
#include "revision/store.h"

namespace jetd::revision {

// Snapshot is what a store held at one moment: every version that a reader could ask for, and the
// leases. Writes and compactions that come later do not change it, so it can be written out at the
// pace of whoever receives it. It holds the versions, and keeps value files that it needs from
// being removed.
//
// Thread rules: the engine thread only. The store outlives it.
class Snapshot {
 public:
  ~Snapshot();
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  [[nodiscard]] Revision revision() const { return revision_; }
  // -1 if never compacted.
  [[nodiscard]] Revision compacted() const { return compacted_; }
  // Ascending by mod: of what lies at or below compacted(), what was alive there; above it,
  // everything, tombstones too. Cold ones as they are.
  [[nodiscard]] const std::vector<KvRef>& versions() const { return versions_; }
  // By id; those of pending grants too, as Store::Leases has it.
  [[nodiscard]] const std::vector<Store::LeaseInfo>& leases() const { return leases_; }
  // A version with its value. kUnavailable if the store was emptied since.
  [[nodiscard]] absl::StatusOr<KvRef> Load(const KvRef& version) const;

 private:
  friend class Store;
  explicit Snapshot(const Store& store);
  void AddKept(const Store& store);

  ValueFiles* const files_;  // null without
  const uint64_t generation_;
  const Revision revision_;
  const Revision compacted_;
  std::vector<KvRef> versions_;
  std::vector<Store::LeaseInfo> leases_;
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_SNAPSHOT_H_
