// SPDX-License-Identifier: Apache-2.0
#include "revision/lease_table.h"

#include <algorithm>

#include "base/check.h"

namespace jetd::revision {

void LeaseTable::Grant(LeaseId id, int64_t ttl_s) {
  const bool inserted = leases_.try_emplace(id, Lease{ttl_s, {}}).second;
  JETD_CHECK(inserted) << "lease " << id << " is there already";
}

std::optional<int64_t> LeaseTable::Remove(LeaseId id) {
  const auto it = leases_.find(id);
  if (it == leases_.end()) return std::nullopt;
  const int64_t ttl_s = it->second.ttl_s;
  leases_.erase(it);
  return ttl_s;
}

void LeaseTable::Attach(const KvBlock* newest) {
  const LeaseId id = newest->lease();
  if (id == LeaseId()) return;
  if (const auto it = leases_.find(id); it != leases_.end()) it->second.attached.insert(newest);
}

void LeaseTable::Detach(const KvBlock* newest) {
  const LeaseId id = newest->lease();
  if (id == LeaseId()) return;
  if (const auto it = leases_.find(id); it != leases_.end()) it->second.attached.erase(newest);
}

void LeaseTable::Replace(const KvBlock* old, const KvBlock* now) {
  const LeaseId id = old->lease();
  if (id == LeaseId()) return;
  const auto it = leases_.find(id);
  if (it != leases_.end() && it->second.attached.erase(old) > 0) it->second.attached.insert(now);
}

std::optional<int64_t> LeaseTable::TtlSeconds(LeaseId id) const {
  const auto it = leases_.find(id);
  if (it == leases_.end()) return std::nullopt;
  return it->second.ttl_s;
}

size_t LeaseTable::KeyCount(LeaseId id) const {
  const auto it = leases_.find(id);
  return it == leases_.end() ? 0 : it->second.attached.size();
}

std::vector<std::string> LeaseTable::Keys(LeaseId id) const {
  std::vector<std::string> keys;
  const auto it = leases_.find(id);
  if (it == leases_.end()) return keys;
  keys.reserve(it->second.attached.size());
  for (const KvBlock* kv : it->second.attached) keys.emplace_back(kv->key());
  std::sort(keys.begin(), keys.end());
  return keys;
}

std::vector<LeaseId> LeaseTable::Ids() const {
  std::vector<LeaseId> ids;
  ids.reserve(leases_.size());
  for (const auto& [id, lease] : leases_) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace jetd::revision
