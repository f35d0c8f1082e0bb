// SPDX-License-Identifier: Apache-2.0
#include "replication/past_state.h"

#include <algorithm>

#include "revision/kv.h"

namespace jetd::replication {

BucketState BucketStateOf(State state) {
  BucketState made;
  made.revision = state.revision;
  made.newest = std::max(state.revision, state.points.current);
  made.keys.reserve(state.keys.size());
  while (!state.keys.empty()) {
    const auto node = state.keys.extract(state.keys.begin());
    const StateKey& key = node.mapped();
    made.keys.push_back(revision::KvBlock::Make({.key = node.key(),
                                                 .value = key.value,
                                                 .mod = {key.mod_revision, 0},
                                                 .create_revision = key.create_revision,
                                                 .version = key.version,
                                                 .lease = key.lease}));
  }
  for (const auto& [id, ttl_s] : state.leases) made.leases.push_back({id, ttl_s});
  return made;
}

}  // namespace jetd::replication
