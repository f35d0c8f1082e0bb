// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_ENGINE_H_
#define JETD_ETCDAPI_ENGINE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/etcdpb/header.pb.h"
#include "base/loop.h"
#include "etcdapi/answer.h"
#include "etcdapi/forwarder.h"
#include "etcdapi/hash_memory.h"
#include "jetstream/log.h"
#include "lease/lessor.h"
#include "revision/committer.h"
#include "revision/peers.h"
#include "revision/store.h"
#include "watch/watch_hub.h"

namespace jetd::etcdapi {

// Engine is what the services serve: the rooms that main (or a test) has put together, and who this
// member is. It owns nothing.
//
// Thread rules: the fields are constant; the methods are the engine thread's.
struct Engine {
  Loop* loop = nullptr;
  jetstream::Log* log = nullptr;
  const revision::Store* store = nullptr;
  revision::Committer* committer = nullptr;
  watch::WatchHub* hub = nullptr;
  lease::Lessor* lessor = nullptr;
  HashMemory* hashes = nullptr;
  // Null: this member is alone.
  revision::Peers* peers = nullptr;
  Forwarder* forwarder = nullptr;

  uint64_t member_id = 0;
  std::string member_name;
  std::vector<std::string> client_urls;

  // cluster_id is a hash of the bucket and the moment it was made: the same for all members and
  // over restarts, another one when the bucket is made anew.
  [[nodiscard]] HeaderIds Ids() const;
  // For answers of generated code. `revision` 0 leaves it out, as etcd's Cluster service does.
  void FillHeader(etcdserverpb::ResponseHeader* header, Revision revision) const;
};

// 64 bits of a hash that never changes between versions of jetd; never 0.
[[nodiscard]] uint64_t StableId(const std::string& text);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_ENGINE_H_
