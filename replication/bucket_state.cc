// SPDX-License-Identifier: Apache-2.0
#include "replication/bucket_state.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "base/limits.h"
#include "base/strings.h"
#include "revision/crc32c.h"

namespace jetd::replication {
namespace {

using revision::KvBlock;
using revision::KvRef;
using revision::Store;

// The empty store is at revision 1.
constexpr int64_t kFirstRevision = 2;

void PutBigEndian(char* out, uint64_t number) {
  for (int i = 7; i >= 0; --i, number >>= 8) out[i] = static_cast<char>(number & 0xff);
}

absl::Status Invalid(std::string_view what, const KvBlock& kv) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, what, ": 0x", HexOf(kv.key().substr(0, 64)),
                    " at revision ", kv.mod_revision().value());
}

KvBlock::Fields FieldsOf(const KvBlock& kv) {
  return {.key = kv.key(),
          .value = kv.value(),
          .mod = kv.mod(),
          .create_revision = kv.create_revision(),
          .version = kv.version(),
          .lease = kv.lease(),
          .seq = kv.seq(),
          .tombstone = false};
}

// The numbers of one version, as they must be. True: they were not.
bool MendNumbers(KvBlock::Fields* fields) {
  const KvBlock::Fields before = *fields;
  const int64_t mod = std::max(fields->mod.main.value(), kFirstRevision);
  const int64_t create = std::clamp(fields->create_revision.value(), kFirstRevision, mod);
  fields->mod.main = Revision(mod);
  fields->create_revision = Revision(create);
  // Where the source counts none: as if every revision since had changed it, so that a later
  // version of the key has a higher number.
  const int64_t most = mod - create + 1;
  const bool possible = fields->version >= 1 && fields->version <= most;
  if (!possible || (fields->version == 1) != (create == mod)) fields->version = most;
  return fields->mod != before.mod || fields->create_revision != before.create_revision ||
         fields->version != before.version;
}

// Two changes of one revision have an order: where they have none yet, that of their keys.
void NumberChanges(std::vector<KvBlock::Fields>* keys, uint64_t* renumbered) {
  std::sort(keys->begin(), keys->end(), [](const auto& a, const auto& b) {
    return a.mod != b.mod ? a.mod < b.mod : a.key < b.key;
  });
  for (size_t i = 1; i < keys->size(); ++i) {
    KvBlock::Fields& now = (*keys)[i];
    const KvBlock::Fields& before = (*keys)[i - 1];
    if (now.mod > before.mod) continue;
    now.mod = {before.mod.main, before.mod.sub + 1};
    ++*renumbered;
  }
}

void MendLeases(std::vector<Store::LeaseInfo>* leases) {
  std::sort(leases->begin(), leases->end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  leases->erase(std::unique(leases->begin(), leases->end(),
                            [](const auto& a, const auto& b) { return a.id == b.id; }),
                leases->end());
  for (Store::LeaseInfo& lease : *leases) {
    lease.ttl_s = std::clamp<int64_t>(lease.ttl_s, 1, limits::kMaxLeaseTtlSeconds);
  }
}

}  // namespace

uint64_t BucketState::bytes() const {
  uint64_t sum = 0;
  for (const KvRef& kv : keys) sum += kv->key().size() + kv->value().size();
  return sum;
}

absl::StatusOr<Mends> Mend(BucketState* state) {
  Mends mends;
  MendLeases(&state->leases);
  absl::flat_hash_set<int64_t> leases;
  for (const Store::LeaseInfo& lease : state->leases) leases.insert(lease.id.value());
  absl::flat_hash_set<absl::string_view> names;
  std::vector<KvBlock::Fields> keys;
  keys.reserve(state->keys.size());
  for (const KvRef& kv : state->keys) {
    if (kv->key().empty() || kv->tombstone() || kv->mod_revision() < Revision(1)) {
      return Invalid("not a live key", *kv);
    }
    if (!names.insert(ToAbsl(kv->key())).second) return Invalid("this key comes twice", *kv);
    KvBlock::Fields& fields = keys.emplace_back();
    fields = FieldsOf(*kv);
    if (MendNumbers(&fields)) ++mends.renumbered;
    if (fields.lease != LeaseId{} && !leases.contains(fields.lease.value())) {
      fields.lease = LeaseId{};
      ++mends.detached;
    }
    state->revision = std::max(state->revision, fields.mod.main);
  }
  NumberChanges(&keys, &mends.renumbered);
  state->newest = std::max(state->newest, state->revision);
  // The old blocks hold the bytes that the fields refer to.
  const std::vector<KvRef> old = std::exchange(state->keys, {});
  state->keys.reserve(keys.size());
  for (const KvBlock::Fields& fields : keys) state->keys.push_back(KvBlock::Make(fields));
  return mends;
}

KvRef MendedKey(const KvRef& kv) {
  KvBlock::Fields fields = FieldsOf(*kv);
  return MendNumbers(&fields) ? KvBlock::Make(fields) : kv;
}

uint32_t ExtendHash(uint32_t hash, const KvBlock& kv) {
  std::array<char, 17> revision;
  PutBigEndian(revision.data(), static_cast<uint64_t>(kv.mod_revision().value()));
  revision[8] = '_';
  PutBigEndian(revision.data() + 9, kv.mod().sub);
  hash = revision::ExtendCrc32c(hash, std::string_view(revision.data(), revision.size()));
  return revision::ExtendCrc32c(hash, kv.encoded());
}

uint32_t HashOf(const BucketState& state) {
  uint32_t hash = revision::ExtendCrc32c(0, "key");
  for (const KvRef& kv : state.keys) hash = ExtendHash(hash, *kv);
  return hash;
}

}  // namespace jetd::replication
