// SPDX-License-Identifier: Apache-2.0
#include "conformance/sim/ledger.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "revision/invariants.h"

namespace jetd::conformance::sim {
namespace {

Version VersionOf(const revision::KvBlock& kv) {
  Version v;
  v.key = kv.key();
  v.mod = kv.mod().main;
  v.sub = kv.mod().sub;
  v.tombstone = kv.tombstone();
  if (v.tombstone) return v;
  v.value = kv.value();
  v.create = kv.create_revision();
  v.version = kv.version();
  v.lease = kv.lease();
  return v;
}

}  // namespace

std::string ToString(const Version& v) {
  if (v.tombstone) return Cat(v.key, " deleted at ", v.mod.value());
  return Cat(v.key, "=", v.value, " mod ", v.mod.value(), " create ", v.create.value(), " version ",
             v.version, " lease ", v.lease.value());
}

bool Same(const Version& v, const revision::KvBlock& kv, bool with_value) {
  if (v.key != kv.key() || v.mod != kv.mod_revision() || v.tombstone != kv.tombstone()) {
    return false;
  }
  if (v.tombstone) return true;
  return v.create == kv.create_revision() && v.version == kv.version() && v.lease == kv.lease() &&
         (!with_value || v.value == kv.value());
}

const Version* Ledger::Live(std::string_view key, Revision at) const {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  const auto& versions = found->second;
  const auto above = std::partition_point(versions.begin(), versions.end(),
                                          [at](const Version* v) { return v->mod <= at; });
  if (above == versions.begin() || (*std::prev(above))->tombstone) return nullptr;
  return *std::prev(above);
}

std::vector<const Version*> Ledger::LiveIn(std::string_view key, std::string_view end,
                                           Revision at) const {
  const revision::KeyRange range{key, end};
  std::vector<const Version*> live;
  for (auto it = by_key_.lower_bound(key); it != by_key_.end() && range.Contains(it->first); ++it) {
    const Version* v = Live(it->first, at);
    if (v != nullptr) live.push_back(v);
  }
  return live;
}

std::vector<std::string> Ledger::KeysOf(LeaseId lease, Revision at) const {
  std::vector<std::string> keys;
  for (const auto& [key, versions] : by_key_) {
    const Version* v = Live(key, at);
    if (v != nullptr && v->lease == lease) keys.push_back(key);
  }
  return keys;
}

void Ledger::OnCommit(const std::string& member, Term term, Revision revision,
                      absl::Span<const revision::Change> changes, const revision::Store& store) {
  std::vector<Version> versions;
  versions.reserve(changes.size());
  for (const revision::Change& change : changes) {
    versions.push_back(VersionOf(*store.Load(change.kv)));
  }
  if (revision > newest().Next()) {
    run_->Fail(member, " commits revision ", revision.value(), " behind ", newest().value());
  } else if (revision == newest().Next()) {
    Enter(member, term, std::move(versions));
  } else {
    Compare(member, revision, versions);
  }
  if (store.committed() != revision) {
    run_->Fail(member, " tells of revision ", revision.value(), " and shows ",
               store.committed().value());
  }
}

void Ledger::Enter(const std::string& member, Term term, std::vector<Version> changes) {
  const Revision revision = newest().Next();
  if (changes.empty()) return run_->Fail(member, " commits nothing at ", revision.value());
  CheckNumbers(member, changes);
  if (run_->tracing()) {
    for (const Version& v : changes) run_->Trace(member, " commits ", ToString(v));
  }
  shadow_.Begin();
  for (const Version& v : changes) {
    if (v.tombstone) {
      shadow_.Delete({v.key, {}}, StreamSeq());
      continue;
    }
    if (v.lease != LeaseId{} && !shadow_.FindLease(v.lease)) shadow_.GrantLease(v.lease, 1);
    shadow_.Put(v.key, v.value, v.lease, StreamSeq());
  }
  if (shadow_.End()) shadow_.CommitOldest();
  run_->Mix(static_cast<uint64_t>(revision.value()));
  run_->Mix(static_cast<uint64_t>(run_->exec.Now().count()));
  all_.push_back(std::move(changes));
  terms_.push_back(terms_.empty() ? term : std::max(term, terms_.back()));
  for (const Version& v : all_.back()) by_key_[v.key].push_back(&v);
  if (on_entered_) on_entered_(revision);
}

void Ledger::CheckNumbers(const std::string& member, const std::vector<Version>& changes) {
  const Revision revision = newest().Next();
  uint32_t sub = 0;
  for (const Version& v : changes) {
    const Version* before = Live(v.key, newest());
    const bool right =
        v.mod == revision && v.sub == sub++ &&
        (v.tombstone ? before != nullptr
                     : (v.version == (before == nullptr ? 1 : before->version + 1) &&
                        v.create == (before == nullptr ? revision : before->create)));
    if (!right) {
      run_->Fail(member, " commits ", ToString(v), " at ", revision.value(), " behind ",
                 before == nullptr ? "nothing" : ToString(*before));
    }
  }
}

void Ledger::Compare(const std::string& member, Revision revision,
                     const std::vector<Version>& changes) {
  if (revision < Revision(2)) return run_->Fail(member, " commits revision ", revision.value());
  const std::vector<Version>& entered = At(revision);
  if (entered == changes) return;
  std::string text = Cat(member, " has another revision ", revision.value(), ":");
  for (const Version& v : changes) CatTo(text, " ", ToString(v), ";");
  CatTo(text, " not:");
  for (const Version& v : entered) CatTo(text, " ", ToString(v), ";");
  run_->Fail(text);
}

Revision Ledger::NewestBefore(Term term) const {
  const auto end = std::partition_point(terms_.begin(), terms_.end(),
                                        [term](Term entered) { return entered < term; });
  return Revision(1 + (end - terms_.begin()));
}

void Ledger::OnLeading(const std::string& member, Term term, const revision::Store& store) {
  const bool late = term < term_;
  term_ = std::max(term_, term);
  run_->Trace(member, " leads at revision ", store.committed().value(), late ? ", late" : "");
  const Revision least = late ? NewestBefore(term) : newest();
  if (store.committed() < least) {
    return run_->Fail(member, " leads at revision ", store.committed().value(), ", and ",
                      least.value(), " was committed");
  }
  if (!late && store.compacted() < compacted_) {
    return run_->Fail(member, " leads compacted at ", store.compacted().value(), ", and ",
                      compacted_.value(), " was committed");
  }
  const Revision from = std::max({store.compacted(), compacted_, Revision(1)});
  if (!CheckHistory(member, Term(term.value() - 1), from, store)) return;
  if (store.compacted() > compacted_) OnCompacted(member, store.compacted());
  if (late) return;
  if (store.committed() != newest()) {
    return run_->Fail(member, " leads at revision ", store.committed().value(), " with changes to ",
                      newest().value());
  }
  CheckSame(member, store);
}

void Ledger::OnFollowing(const std::string& member, const revision::Store& store) {
  run_->Trace(member, " follows at revision ", store.committed().value());
  if (store.committed() > newest() || store.compacted() > compacted_) {
    return run_->Fail(member, " shows revision ", store.committed().value(), ", compacted at ",
                      store.compacted().value(), "; no leader has committed more than ",
                      newest().value(), ", ", compacted_.value());
  }
  const Revision from = std::max(store.compacted(), Revision(1));
  if (!CheckHistory(member, std::nullopt, from, store)) return;
  CheckLive(member, store);
  const absl::Status sound = revision::CheckInvariants(store);
  if (!sound.ok()) run_->Fail(member, ": ", MessageOf(sound));
}

bool Ledger::CheckHistory(const std::string& member, std::optional<Term> entering, Revision from,
                          const revision::Store& store) {
  std::map<Revision, std::vector<Version>> found;
  const auto read = store.History(from, SIZE_MAX, [&](const revision::Change& change) {
    Version v = VersionOf(*store.Load(change.kv));
    found[v.mod].push_back(std::move(v));
  });
  if (!read.ok()) run_->Fail(member, " has no history from ", from.value());
  for (auto& [revision, changes] : found) {
    if (revision == newest().Next() && entering.has_value()) {
      Enter(member, *entering, std::move(changes));
    } else if (revision > newest()) {
      run_->Fail(member, " leads, and revision ", newest().Next().value(), " is missing");
    } else if (revision > from) {
      Compare(member, revision, changes);
    }
  }
  return !run_->failed();
}

void Ledger::OnCompacted(const std::string& member, Revision revision) {
  run_->Trace(member, " is compacted at ", revision.value());
  if (revision <= compacted_) return;
  if (revision > newest()) {
    return run_->Fail(member, " is compacted at ", revision.value(), ", above the newest, ",
                      newest().value());
  }
  compacted_ = revision;
  shadow_.Compact(revision);
  if (on_compacted_) on_compacted_(revision);
}

void Ledger::CheckLive(const std::string& member, const revision::Store& store) {
  for (const auto& [key, versions] : by_key_) {
    const Version* v = Live(key, store.committed());
    const revision::KvRef kv = store.Get(key, revision::Store::View::kCommitted);
    if (static_cast<bool>(kv) == (v != nullptr) && (v == nullptr || Same(*v, *kv))) continue;
    return run_->Fail(member, " holds ", kv ? std::string(kv->value()) : "nothing", " at ", key,
                      ", not ", v == nullptr ? "nothing" : ToString(*v));
  }
}

uint32_t Ledger::Hash() const {
  const auto hash = shadow_.HashKv(Revision());
  return hash.ok() ? hash->hash : 0;
}

void Ledger::CheckSame(const std::string& member, const revision::Store& store) {
  if (store.committed() != newest() || store.compacted() != compacted_) {
    return run_->Fail(member, " is at ", store.committed().value(), ", compacted ",
                      store.compacted().value(), "; entered: ", newest().value(), ", ",
                      compacted_.value());
  }
  const absl::Status sound = revision::CheckInvariants(store);
  if (!sound.ok()) run_->Fail(member, ": ", MessageOf(sound));
  const auto hash = store.HashKv(Revision());
  if (hash.ok() && hash->hash == Hash()) return;
  CheckLive(member, store);
  run_->Fail(member, " has another HashKV at ", newest().value(), " than its changes make");
}

}  // namespace jetd::conformance::sim
