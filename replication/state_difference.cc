// SPDX-License-Identifier: Apache-2.0
#include "replication/state_difference.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "base/strings.h"

namespace jetd::replication {
namespace {

using revision::KvRef;

// Oldest first.
void SortByAge(std::vector<KvRef>* keys) {
  std::sort(keys->begin(), keys->end(), [](const KvRef& a, const KvRef& b) {
    if (a->create_revision() != b->create_revision()) {
      return a->create_revision() < b->create_revision();
    }
    return a->key() < b->key();
  });
}

}  // namespace

Difference DifferenceOf(const BucketState& wanted, const BucketState& now,
                        const KeySelection& selection) {
  absl::flat_hash_set<int64_t> leases;
  for (const auto& lease : now.leases) leases.insert(lease.id.value());
  absl::flat_hash_map<std::string, const revision::KvBlock*> there;
  for (const KvRef& kv : now.keys) {
    if (selection.Matches(kv->key())) there.emplace(std::string(kv->key()), kv.get());
  }
  Difference difference;
  std::vector<KvRef> puts;
  for (const KvRef& kv : wanted.keys) {
    if (selection.Matches(kv->key())) puts.push_back(kv);
  }
  SortByAge(&puts);
  for (const KvRef& kv : puts) {
    const auto found = there.find(ToAbsl(kv->key()));
    const revision::KvBlock* const current = found == there.end() ? nullptr : found->second;
    const bool gone = kv->lease() != LeaseId{} && !leases.contains(kv->lease().value());
    const LeaseId lease = gone ? LeaseId{} : kv->lease();
    const bool same =
        current != nullptr && current->value() == kv->value() && current->lease() == lease;
    if (current != nullptr) there.erase(found);
    if (same) {
      ++difference.same;
      continue;
    }
    ++(current == nullptr ? difference.added : difference.changed);
    if (gone) ++difference.unleased;
    difference.bytes += kv->key().size() + kv->value().size();
    difference.changes.push_back(
        {.key = std::string(kv->key()),
         .wanted = kv,
         .lease = lease,
         .now = current == nullptr ? Revision{} : current->mod_revision()});
  }
  std::vector<KvRef> deletes;
  for (const auto& [key, kv] : there) deletes.push_back(KvRef::Share(kv));
  SortByAge(&deletes);
  for (auto kv = deletes.rbegin(); kv != deletes.rend(); ++kv) {
    ++difference.deleted;
    difference.changes.push_back({.key = std::string((*kv)->key()),
                                  .wanted = {},
                                  .lease = {},
                                  .now = (*kv)->mod_revision()});
  }
  return difference;
}

}  // namespace jetd::replication
