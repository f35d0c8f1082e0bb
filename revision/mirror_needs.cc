// SPDX-License-Identifier: Apache-2.0
#include "revision/mirror_needs.h"

#include <algorithm>
#include <limits>
#include <string>

#include "jetstream/record.h"

namespace jetd::revision {
namespace {

// Of a version that is superseded at or below the compact revision the store need not have let go
// yet, and a mirror may.
bool NeedsVersion(StreamSeq seq, const std::string& key, const Store& store) {
  bool needed = false;
  Revision newer(std::numeric_limits<int64_t>::max());
  std::string next = key;
  (void)store.VisitVersions(&next, 1, [&](const KvBlock& version) {
    if (version.key() != key) return;
    if (version.seq() == seq) needed = newer > store.compacted();
    newer = version.mod_revision();
  });
  return needed;
}

bool NamesVoids(const std::string& payload) {
  const auto term = jetstream::DecodeTerm(payload);
  return !term.ok() || !term->voids.empty();
}

}  // namespace

bool MirrorNeeds(const jetstream::CompareAnswer::Found& record, const LeaderView& leader) {
  if (leader.voids->Contains(record.seq)) return false;
  if (record.lives_on) return true;
  const auto decoded = leader.codec->Decode(record.subject);
  if (!decoded.ok()) return false;
  const SystemRecords& system = *leader.system;
  using Kind = jetstream::SubjectCodec::Kind;
  switch (decoded->kind) {
    case Kind::kKey:
      return NeedsVersion(record.seq, decoded->key, *leader.store);
    case Kind::kTerm:
      return record.seq == system.term || NamesVoids(record.payload);
    case Kind::kCompact:
      return record.seq == system.compact;
    case Kind::kAlarm:
      return record.seq == system.alarm;
    case Kind::kLive:
      return record.seq > leader.led &&
             std::find(system.live.begin(), system.live.end(), record.seq) != system.live.end();
    case Kind::kLease: {
      const auto grant = system.leases.find(decoded->lease);
      return grant != system.leases.end() && grant->second == record.seq;
    }
    case Kind::kBarrier:
    case Kind::kOther:
      return false;
  }
  return false;
}

}  // namespace jetd::revision
