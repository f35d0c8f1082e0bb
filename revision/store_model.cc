// SPDX-License-Identifier: Apache-2.0
#include "revision/store_model.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/strings.h"

namespace jetd::revision {
namespace {

using Versions = std::vector<ModelVersion>;

// A key's life from its creation to its tombstone; positions in the list of versions.
using Generation = std::vector<size_t>;

std::vector<Generation> GenerationsOf(const Versions& versions, const std::string& key) {
  std::vector<Generation> generations(1);
  for (size_t i = 0; i < versions.size(); ++i) {
    if (versions[i].key != key) continue;
    generations.back().push_back(i);
    if (versions[i].tombstone) generations.emplace_back();
  }
  return generations;
}

// The generation that a compaction at `at` stops in: the first whose tombstone is not below.
size_t GenerationAt(const Versions& versions, const std::vector<Generation>& generations,
                    Revision at) {
  size_t g = 0;
  while (g + 1 < generations.size() && versions[generations[g].back()].mod.main < at) ++g;
  return g;
}

std::optional<size_t> LastAtOrBelow(const Versions& versions, const Generation& generation,
                                    Revision at) {
  std::optional<size_t> found;
  for (const size_t i : generation) {
    if (versions[i].mod.main <= at) found = i;
  }
  return found;
}

std::set<std::string> KeysOf(const Versions& versions) {
  std::set<std::string> keys;
  for (const ModelVersion& v : versions) keys.insert(v.key);
  return keys;
}

std::optional<ModelVersion> LiveAt(const Versions& versions, const std::string& key, Revision at) {
  std::optional<ModelVersion> live;
  for (const ModelVersion& v : versions) {
    if (v.key != key || v.mod.main > at) continue;
    if (v.tombstone) {
      live.reset();
    } else {
      live = v;
    }
  }
  return live;
}

Versions AllLiveAt(const Versions& versions, const KeyRange& keys, Revision at) {
  Versions live;
  for (const std::string& key : KeysOf(versions)) {
    if (!keys.Contains(key)) continue;
    if (auto v = LiveAt(versions, key, at)) live.push_back(*v);
  }
  return live;
}

Versions DropCompacted(Versions* versions, Revision at) {
  std::set<size_t> dropped;
  for (const std::string& key : KeysOf(*versions)) {
    const std::vector<Generation> generations = GenerationsOf(*versions, key);
    const size_t stop = GenerationAt(*versions, generations, at);
    for (size_t g = 0; g < stop; ++g) dropped.insert(generations[g].begin(), generations[g].end());
    const std::optional<size_t> keep = LastAtOrBelow(*versions, generations[stop], at);
    for (const size_t i : generations[stop]) {
      if (keep.has_value() && i < *keep && (*versions)[i].mod.main < at) dropped.insert(i);
    }
  }
  Versions kept;
  Versions out;
  for (size_t i = 0; i < versions->size(); ++i) {
    (dropped.count(i) != 0 ? out : kept).push_back((*versions)[i]);
  }
  *versions = std::move(kept);
  return out;
}

bool SortsBefore(const ModelVersion& a, const ModelVersion& b, SortTarget target) {
  switch (target) {
    case SortTarget::kKey:
      return a.key < b.key;
    case SortTarget::kVersion:
      return a.version < b.version;
    case SortTarget::kCreate:
      return a.create_revision < b.create_revision;
    case SortTarget::kMod:
      return a.mod.main < b.mod.main;
    case SortTarget::kValue:
      return a.value < b.value;
  }
  return false;
}

bool Holds(const ModelVersion& v, const Compare& compare) {
  int64_t number = 0;
  switch (compare.target) {
    case Compare::Target::kVersion:
      number = v.version;
      break;
    case Compare::Target::kCreate:
      number = v.create_revision.value();
      break;
    case Compare::Target::kMod:
      number = v.mod.main.value();
      break;
    case Compare::Target::kLease:
      number = v.lease.value();
      break;
    case Compare::Target::kValue:
      number = v.value.compare(compare.value);
      break;
  }
  const int64_t other = compare.target == Compare::Target::kValue ? 0 : compare.number;
  switch (compare.result) {
    case Compare::Result::kEqual:
      return number == other;
    case Compare::Result::kGreater:
      return number > other;
    case Compare::Result::kLess:
      return number < other;
    case Compare::Result::kNotEqual:
      return number != other;
  }
  return false;
}

void AddCrc(uint32_t* crc, std::string_view bytes) {
  for (const char c : bytes) {
    *crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) *crc = (*crc >> 1) ^ ((*crc & 1) != 0 ? 0x82f63b78U : 0U);
  }
}

std::string BigEndian(uint64_t v) {
  std::string out;
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(v >> shift));
  return out;
}

}  // namespace

ModelVersion VersionOf(const KvBlock& kv) {
  return {std::string(kv.key()),
          std::string(kv.value()),
          kv.mod(),
          kv.create_revision(),
          kv.version(),
          kv.lease(),
          kv.seq(),
          kv.tombstone()};
}

std::string ToString(const ModelVersion& v) {
  return Cat(HexOf(v.key), v.tombstone ? " deleted" : " = ", v.value, " mod ", v.mod.main.value(),
             ".", v.mod.sub, " create ", v.create_revision.value(), " version ", v.version,
             " lease ", v.lease.value(), " seq ", v.seq.value());
}

const StoreModel::State& StoreModel::StateOf(Store::View view) const {
  return view == Store::View::kCommitted ? committed_ : now_;
}

Revision StoreModel::Current(Store::View view) const {
  if (view == Store::View::kCommitted) return committed_.newest;
  return open_ && sub_ > 0 ? now_.newest.Next() : now_.newest;
}

void StoreModel::Begin() {
  JETD_CHECK(!open_) << "open";
  open_ = true;
  sub_ = 0;
  touched_ = false;
}

void StoreModel::Append(ModelVersion v) {
  v.mod = {now_.newest.Next(), sub_++};
  now_.versions.push_back(std::move(v));
  touched_ = true;
}

void StoreModel::Put(std::string_view key, std::string_view value, LeaseId lease, StreamSeq seq) {
  ModelVersion v;
  v.key = key;
  v.value = value;
  v.lease = lease;
  v.seq = seq;
  const auto before = LiveAt(now_.versions, v.key, now_.newest.Next());
  v.version = before.has_value() ? before->version + 1 : 1;
  v.create_revision = before.has_value() ? before->create_revision : now_.newest.Next();
  Append(std::move(v));
}

int64_t StoreModel::Delete(const KeyRange& keys, StreamSeq first_seq) {
  int64_t deleted = 0;
  for (const ModelVersion& live : AllLiveAt(now_.versions, keys, now_.newest.Next())) {
    ModelVersion v;
    v.key = live.key;
    v.tombstone = true;
    v.seq = StreamSeq(first_seq.value() + static_cast<uint64_t>(deleted++));
    Append(std::move(v));
  }
  return deleted;
}

void StoreModel::GrantLease(LeaseId id, int64_t ttl_s) {
  now_.leases[id] = ttl_s;
  touched_ = true;
}

void StoreModel::RevokeLease(LeaseId id) {
  now_.leases.erase(id);
  touched_ = true;
}

bool StoreModel::End() {
  open_ = false;
  if (sub_ > 0) now_.newest = now_.newest.Next();
  if (touched_) pending_.push_back(now_);
  return touched_;
}

void StoreModel::Abort() {
  open_ = false;
  now_ = pending_.empty() ? committed_ : pending_.back();
}

void StoreModel::CommitOldest() {
  committed_ = pending_.front();
  pending_.erase(pending_.begin());
}

void StoreModel::Rollback() {
  pending_.clear();
  now_ = committed_;
}

absl::StatusOr<StoreModel::RangeAnswer> StoreModel::Range(const RangeOp& op,
                                                          Store::View view) const {
  const Revision current = Current(view);
  if (op.revision > current) return MakeError(Errc::kFutureRevision);
  const Revision at = op.revision <= Revision() ? current : op.revision;
  if (at < compacted_) return MakeError(Errc::kCompacted);

  RangeAnswer answer;
  answer.revision = current;
  Versions kvs = AllLiveAt(StateOf(view).versions, op.keys, at);
  answer.count = static_cast<int64_t>(kvs.size());
  if (op.count_only) return answer;
  std::erase_if(kvs, [&op](const ModelVersion& v) {
    const auto outside = [](Revision r, Revision min, Revision max) {
      return (min != Revision() && r < min) || (max != Revision() && r > max);
    };
    return outside(v.mod.main, op.min_mod_revision, op.max_mod_revision) ||
           outside(v.create_revision, op.min_create_revision, op.max_create_revision);
  });
  const Revision none;
  const bool filtered = op.min_mod_revision != none || op.max_mod_revision != none ||
                        op.min_create_revision != none || op.max_create_revision != none;
  if (op.limit > 0 && op.sort_order == SortOrder::kNone && !filtered &&
      kvs.size() > static_cast<size_t>(op.limit) + 1) {
    kvs.resize(static_cast<size_t>(op.limit) + 1);
  }
  std::stable_sort(kvs.begin(), kvs.end(), [&op](const ModelVersion& a, const ModelVersion& b) {
    return op.sort_order == SortOrder::kDescend ? SortsBefore(b, a, op.sort_target)
                                                : SortsBefore(a, b, op.sort_target);
  });
  if (op.limit > 0 && kvs.size() > static_cast<size_t>(op.limit)) {
    kvs.resize(static_cast<size_t>(op.limit));
    answer.more = true;
  }
  answer.kvs = std::move(kvs);
  return answer;
}

bool StoreModel::EvaluateCompare(const Compare& compare, Store::View view) const {
  const Versions live = AllLiveAt(StateOf(view).versions, compare.keys, Current(view));
  if (live.empty()) {
    return compare.target != Compare::Target::kValue && Holds(ModelVersion(), compare);
  }
  return std::all_of(live.begin(), live.end(),
                     [&compare](const ModelVersion& v) { return Holds(v, compare); });
}

std::vector<StoreModel::Event> StoreModel::History(Revision from) const {
  std::vector<Event> events;
  for (const ModelVersion& v : committed_.versions) {
    if (v.mod.main < from) continue;
    const Revision before = v.mod.main.Prev();
    std::optional<ModelVersion> prev;
    if (before >= compacted_) prev = LiveAt(committed_.versions, v.key, before);
    events.push_back({v, std::move(prev)});
  }
  return events;
}

std::vector<std::string> StoreModel::LeaseKeys(LeaseId id, Store::View view) const {
  const State& state = StateOf(view);
  std::vector<std::string> keys;
  const KeyRange all{.key = {}, .end = std::string_view("\0", 1)};
  for (const ModelVersion& v : AllLiveAt(state.versions, all, state.newest)) {
    if (v.lease == id) keys.push_back(v.key);
  }
  return keys;
}

std::vector<ModelVersion> StoreModel::Compact(Revision revision) {
  compacted_ = revision;
  for (State& state : pending_) DropCompacted(&state.versions, revision);
  DropCompacted(&committed_.versions, revision);
  return DropCompacted(&now_.versions, revision);
}

uint32_t StoreModel::HashKv(Revision revision) const {
  const Versions& versions = committed_.versions;
  std::set<size_t> keep;
  for (const std::string& key : KeysOf(versions)) {
    const std::vector<Generation> generations = GenerationsOf(versions, key);
    const size_t stop = GenerationAt(versions, generations, revision);
    const std::optional<size_t> kept = LastAtOrBelow(versions, generations[stop], revision);
    if (!kept.has_value()) continue;
    if (*kept == generations[stop].back() && stop + 1 != generations.size()) continue;
    keep.insert(*kept);
  }
  uint32_t crc = 0xffffffff;
  AddCrc(&crc, "key");
  for (size_t i = 0; i < versions.size(); ++i) {
    const ModelVersion& v = versions[i];
    if (v.mod.main > revision) continue;
    if (v.mod.main <= compacted_ && !keep.empty() && keep.count(i) == 0) continue;
    if (v.mod.main == compacted_ && v.tombstone) continue;
    // A put whose own transaction superseded it: etcd drops it when compacting at that revision,
    // the Store keeps it one compaction longer, unseen.
    if (v.mod.main == compacted_ && LiveAt(versions, v.key, compacted_) != v) continue;
    AddCrc(&crc, Cat(BigEndian(static_cast<uint64_t>(v.mod.main.value())), '_',
                     BigEndian(v.mod.sub), v.tombstone ? "t" : ""));
    const KvRef kv = KvBlock::Make({.key = v.key,
                                    .value = v.value,
                                    .mod = v.mod,
                                    .create_revision = v.create_revision,
                                    .version = v.version,
                                    .lease = v.lease,
                                    .tombstone = v.tombstone});
    AddCrc(&crc, v.tombstone ? kv->encoded_key() : kv->encoded());
  }
  return ~crc;
}

}  // namespace jetd::revision
