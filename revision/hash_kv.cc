// SPDX-License-Identifier: Apache-2.0
#include "revision/hash_kv.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "revision/crc32c.h"

namespace jetd::revision {
namespace {

void PutBigEndian(char* out, uint64_t v) {
  for (int i = 7; i >= 0; --i, v >>= 8) out[i] = static_cast<char>(v & 0xff);
}

uint32_t Extend(uint32_t crc, const KvBlock* kv, const ValueCache& values) {
  std::array<char, 18> revision;
  PutBigEndian(revision.data(), static_cast<uint64_t>(kv->mod_revision().value()));
  revision[8] = '_';
  PutBigEndian(revision.data() + 9, kv->mod().sub);
  revision[17] = 't';
  crc = ExtendCrc32c(crc, std::string_view(revision.data(), kv->tombstone() ? 18 : 17));
  if (kv->tombstone()) return ExtendCrc32c(crc, kv->encoded_key());
  return ExtendCrc32c(crc, values.Load(kv, ValueFiles::How::kMany)->encoded());
}

// True if etcd's index, asked what to keep at `at`, names `now`, the newest version up to there:
// not if the transaction of `at` itself deleted the key and put it again, since etcd stops at the
// tombstone then.
bool IsKept(const KvBlock* now, Revision at) {
  if (now == nullptr) return false;
  for (const KvBlock* v = now; v != nullptr && v->mod_revision() == at; v = KeyIndex::Older(v)) {
    if (v->tombstone()) return false;
  }
  return true;
}

// The versions at or below `compacted` that count, in the order of their revisions.
std::vector<const KvBlock*> KeptBelow(const KeyIndex& index, Revision compacted, Revision at) {
  std::vector<const KvBlock*> kept;     // alive at `compacted` and still at `at`
  std::vector<const KvBlock*> dropped;  // alive at `compacted`, superseded since
  bool any_kept = false;
  index.Visit({.key = {}, .end = std::string_view("\0", 1)}, [&](const KeyIndex::Entry& entry) {
    const KvBlock* now = KeyIndex::VersionAt(entry.newest(), at);
    const bool keep = IsKept(now, at);
    any_kept = any_kept || keep;
    const KvBlock* then = KeyIndex::VersionAt(entry.newest(), compacted);
    if (then != nullptr) (keep && then == now ? kept : dropped).push_back(then);
    return true;
  });
  std::vector<const KvBlock*>& counted = any_kept ? kept : dropped;
  std::sort(counted.begin(), counted.end(),
            [](const KvBlock* a, const KvBlock* b) { return a->mod() < b->mod(); });
  return std::move(counted);
}

}  // namespace

uint32_t ComputeHashKv(const KeyIndex& index, const ChangeLog& log, const ValueCache& values,
                       Revision compacted, Revision at) {
  uint32_t crc = ExtendCrc32c(0, "key");
  if (at < compacted) return crc;
  if (compacted > Revision()) {
    for (const KvBlock* kv : KeptBelow(index, compacted, at)) crc = Extend(crc, kv, values);
  }
  for (size_t i = log.LowerBound(compacted.Next()); i < log.size(); ++i) {
    if (log[i]->mod_revision() > at) break;
    crc = Extend(crc, log[i], values);
  }
  return crc;
}

}  // namespace jetd::revision
