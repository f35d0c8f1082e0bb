// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/engine.h"

#include "base/stable_id.h"

namespace jetd::etcdapi {

uint64_t StableId(const std::string& text) { return jetd::StableId(text); }

HeaderIds Engine::Ids() const {
  // Hashing takes a microsecond and the answer changes at most once in a process's life.
  static thread_local int64_t known_created_ns = -1;
  static thread_local std::string known_bucket;
  static thread_local uint64_t known_id = 0;
  const jetstream::LogInfo& info = committer->log_info();
  if (info.created_ns != known_created_ns || info.bucket != known_bucket) {
    known_created_ns = info.created_ns;
    known_bucket = info.bucket;
    known_id = ClusterIdOf(info.bucket, info.created_ns);
  }
  return {.cluster_id = known_id, .member_id = member_id, .term = committer->term()};
}

void Engine::FillHeader(etcdserverpb::ResponseHeader* header, Revision revision) const {
  const HeaderIds ids = Ids();
  header->set_cluster_id(ids.cluster_id);
  header->set_member_id(ids.member_id);
  header->set_raft_term(ids.term.value());
  header->set_revision(revision.value());
}

}  // namespace jetd::etcdapi
