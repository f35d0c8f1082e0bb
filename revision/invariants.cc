// SPDX-License-Identifier: Apache-2.0
#include "revision/invariants.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/strings.h"
#include "revision/store_impl.h"

namespace jetd::revision {
namespace {

template <typename... Pieces>
absl::Status Broken(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kInternal, pieces...);
}

std::string Name(const KvBlock* v) {
  return Cat(HexOf(v->key()), "@", v->mod_revision().value(), ".", v->mod().sub);
}

// I2, for a version and the one before it that is still there.
absl::Status CheckNumbers(const KvBlock* v, const KvBlock* older) {
  if (v->tombstone()) return absl::OkStatus();
  const bool first = v->version() == 1;
  if (first ? v->create_revision() != v->mod_revision()
            : v->create_revision() > v->mod_revision()) {
    return Broken("I2: ", Name(v), " has version ", v->version(), " and was created at ",
                  v->create_revision().value());
  }
  if (older == nullptr) return absl::OkStatus();
  if (older->tombstone() != first) return Broken("I2: ", Name(v), " follows ", Name(older));
  if (first) return absl::OkStatus();
  if (v->version() != older->version() + 1 || v->create_revision() != older->create_revision()) {
    return Broken("I2: ", Name(v), " does not count on from ", Name(older));
  }
  return absl::OkStatus();
}

absl::Status CheckChain(const KvBlock* newest, KeyIndex::Stats* sum) {
  const KvBlock* newer = nullptr;
  for (const KvBlock* v = newest; v != nullptr; newer = v, v = KeyIndex::Older(v)) {
    if (KeyIndex::Newer(v) != newer) return Broken("links: ", Name(v), " has another successor");
    if (newer != nullptr && (newer->mod() <= v->mod() || newer->key() != v->key())) {
      return Broken("I2: ", Name(newer), " stands above ", Name(v));
    }
    absl::Status status = CheckNumbers(v, KeyIndex::Older(v));
    if (!status.ok()) return status;
    ++sum->versions;
    sum->bytes += v->hot_footprint();
  }
  if (!newest->tombstone()) {
    ++sum->keys;
    sum->live_bytes += newest->hot_footprint();
  }
  return absl::OkStatus();
}

absl::Status CheckIndex(const KeyIndex& index, std::vector<const KvBlock*>* all) {
  KeyIndex::Stats sum;
  absl::Status status;
  std::string last;
  bool first = true;
  index.Visit({.end = std::string_view("\0", 1)}, [&](const KeyIndex::Entry& entry) {
    if (!first && entry.key() <= last) {
      status = Broken("index: ", HexOf(entry.key()), " after ", HexOf(last));
      return false;
    }
    first = false;
    last = entry.key();
    status = CheckChain(entry.newest(), &sum);
    for (const KvBlock* v = entry.newest(); v != nullptr; v = KeyIndex::Older(v)) all->push_back(v);
    return status.ok();
  });
  if (!status.ok()) return status;
  const KeyIndex::Stats& counted = index.stats();
  if (sum.keys != counted.keys || sum.versions != counted.versions || sum.bytes != counted.bytes ||
      sum.live_bytes != counted.live_bytes) {
    return Broken("stats: ", counted.keys, " keys, ", counted.versions, " versions, ",
                  counted.bytes, " bytes, ", counted.live_bytes, " live; found ", sum.keys, ", ",
                  sum.versions, ", ", sum.bytes, ", ", sum.live_bytes);
  }
  return absl::OkStatus();
}

// I1: all that is above the compacted revision is listed, in order and without a hole.
absl::Status CheckLog(const ChangeLog& log, std::vector<const KvBlock*> all, Revision compacted,
                      Revision newest) {
  std::sort(all.begin(), all.end(),
            [](const KvBlock* a, const KvBlock* b) { return a->mod() < b->mod(); });
  const auto above = std::partition_point(all.begin(), all.end(), [compacted](const KvBlock* v) {
    return v->mod_revision() <= compacted;
  });
  const size_t start = log.LowerBound(compacted.Next());
  if (log.size() - start != static_cast<size_t>(all.end() - above)) {
    return Broken("log: lists ", log.size() - start, " changes above the compacted revision of ",
                  all.end() - above);
  }
  Revision last = std::max(compacted, Revision(1));
  for (auto it = above; it != all.end(); ++it) {
    const KvBlock* listed = log[start + static_cast<size_t>(it - above)];
    if (listed != *it) return Broken("log: lists ", Name(listed), " for ", Name(*it));
    const Revision revision = (*it)->mod_revision();
    if (revision != last && revision != last.Next()) {
      return Broken("I1: ", Name(*it), " follows ", last.value());
    }
    last = revision;
  }
  if (last != newest) return Broken("I1: the last change is of ", last.value());
  return absl::OkStatus();
}

// I4, by the sums.
absl::Status CheckValues(const ValueCache& values, const std::vector<const KvBlock*>& all) {
  if (values.files() == nullptr) return absl::OkStatus();
  size_t hot = 0;
  size_t cold = 0;
  for (const KvBlock* v : all) {
    if (v->cold()) cold += ValueFiles::kHeadBytes + v->encoded_size();
    if (values.Queues(v)) hot += v->footprint();
    if (v->cold() && !values.files()->Has(v->location().segment)) {
      return Broken("I4: ", Name(v), " lies in segment ", v->location().segment);
    }
  }
  const ValueFiles::Stats& stats = values.files()->stats();
  if (hot != values.hot_bytes() || cold != stats.live_bytes) {
    return Broken("I4: ", values.hot_bytes(), " bytes hot, ", stats.live_bytes, " in use; found ",
                  hot, ", ", cold);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckInvariants(const Store& store) {
  const Store::Impl& s = *store.impl_;
  if (s.open) return Broken("a transaction is open");
  if (s.compacted > s.committed || s.committed > s.newest) {
    return Broken("I1: compacted ", s.compacted.value(), ", committed ", s.committed.value(),
                  ", newest ", s.newest.value());
  }
  std::vector<const KvBlock*> all;
  absl::Status status = CheckIndex(s.index, &all);
  if (!status.ok()) return status;
  status = CheckLog(s.log, all, s.compacted, s.newest);
  if (!status.ok()) return status;
  status = CheckValues(s.values, all);
  if (!status.ok()) return status;

  for (const LeaseId id : s.leases.Ids()) {
    std::vector<std::string> keys;
    s.index.Visit({.end = std::string_view("\0", 1)}, [&](const KeyIndex::Entry& entry) {
      if (entry.newest()->lease() == id) keys.emplace_back(entry.key());
      return true;
    });
    if (keys != s.leases.Keys(id)) return Broken("I3: keys of lease ", id.value());
  }

  size_t undos = 0;
  for (const Store::Impl::PendingTxn& txn : s.pending) undos += txn.undos;
  if (undos != s.undos.size()) return Broken("undo: ", s.undos.size(), " for ", undos);
  return absl::OkStatus();
}

}  // namespace jetd::revision
