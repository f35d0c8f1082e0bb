// SPDX-License-Identifier: Apache-2.0
#include "conformance/differential/generator.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "conformance/differential/bad_input.h"

namespace jetd::conformance::differential {
namespace {

constexpr int kStreams = 4;
constexpr size_t kMaxWatches = 10;  // of a stream
constexpr size_t kMaxLeases = 12;
// Ids by which the suite knows leases that servers named.
constexpr int64_t kGenerated = 0x7000'0000'0000'0000;

OpMaker::GeneratedLeases UseOf(uint64_t seed) {
  return seed % 4 == 0 ? OpMaker::GeneratedLeases::kWithKeys : OpMaker::GeneratedLeases::kNoKeys;
}

}  // namespace

Generator::Generator(uint64_t seed, const Model* model)
    : seed_(seed),
      model_(*model),
      random_(seed),
      keys_(&random_),
      ops_(&random_, &keys_, model, UseOf(seed)),
      txns_(&ops_),
      next_generated_(kGenerated) {}

bool Generator::hashes_are_comparable() const {
  return UseOf(seed_) == OpMaker::GeneratedLeases::kNoKeys;
}

Step Generator::Next() {
  while (queue_.empty()) {
    const int64_t kind = random_.Between(0, 9'999);
    if (kind < 7'700) {
      AddWrite();
    } else if (kind < 8'870) {
      AddRead();
    } else if (kind < 9'270) {
      AddLeaseCall();
    } else if (kind < 9'520) {
      AddWatchCall();
    } else if (kind < 9'660) {
      AddMaintenance();
    } else {
      for (Step& step : MakeBadInput(ops_)) queue_.push_back(std::move(step));
    }
  }
  Step step = std::move(queue_.front());
  queue_.pop_front();
  return step;
}

void Generator::AddWrite() {
  const int64_t kind = random_.Between(0, 99);
  if (kind < 50 || model_.keys().size() < 30) {
    Add(ops_.Put());
  } else if (kind < 85) {
    Add(txns_.Make());
  } else {
    Add(ops_.Delete());
  }
}

void Generator::AddRead() {
  if (random_.Chance(1500)) {
    StreamedRange call{ops_.Range()};
    Step step{.call = call};
    if (call.request.sort_order() != pb::RangeRequest::NONE ||
        call.request.sort_target() != pb::RangeRequest::KEY) {
      // What only RangeStream refuses.
      step.sides = Step::Sides::kServerOnly;
      step.expected = absl::UnimplementedError("");
    }
    queue_.push_back(std::move(step));
  } else {
    Add(ops_.Range());
  }
}

void Generator::AddLeaseCall() {
  const auto& leases = model_.leases();
  const int64_t kind = random_.Between(0, 99);
  if (leases.empty() || (kind < 45 && leases.size() < kMaxLeases)) {
    pb::LeaseGrantRequest grant;
    grant.set_ttl(random_.Between(1000, 100'000));
    Step step;
    if (random_.Chance(2500)) {
      step.known_as = ++next_generated_;
    } else {
      grant.set_id(NewLeaseId());
    }
    step.call = grant;
    queue_.push_back(std::move(step));
    return;
  }
  const int64_t lease = random_.Pick(leases).first;
  if (kind < 65) {
    pb::LeaseRevokeRequest revoke;
    revoke.set_id(lease);
    Add(revoke);
  } else if (kind < 78) {
    pb::LeaseKeepAliveRequest keep;
    keep.set_id(lease);
    Add(keep);
  } else if (kind < 92) {
    pb::LeaseTimeToLiveRequest left;
    left.set_id(lease);
    left.set_keys(random_.Chance(7000));
    Add(left);
  } else if (kind < 98) {
    Add(pb::LeaseLeasesRequest());
  } else {
    AddExpiry();
  }
}

// A lease with a few keys that runs out while both servers are left alone, since their clocks have
// no order with the requests.
void Generator::AddExpiry() {
  pb::LeaseGrantRequest grant;
  grant.set_id(NewLeaseId());
  // Long enough that a busy machine does not let it expire before the keys are put.
  grant.set_ttl(random_.Between(3, 4));
  AddSettled(grant);
  for (int64_t i = random_.Between(0, 3); i > 0; --i) {
    pb::PutRequest put;
    put.set_key(ops_.AnyKey());
    put.set_value("expires");
    put.set_lease(grant.id());
    Add(put);
  }
  if (random_.Chance(5000)) {
    pb::LeaseKeepAliveRequest keep;
    keep.set_id(grant.id());
    Add(keep);
  }
  Add(AwaitExpiry{grant.id()});
}

void Generator::AddCompaction() {
  if (model_.revision() <= model_.compacted() + 1) return;
  pb::CompactionRequest compact;
  const int64_t low = std::max<int64_t>(1, model_.compacted() + 1);
  compact.set_revision(random_.Between(low + (model_.revision() - low) / 3, model_.revision()));
  compact.set_physical(random_.Chance(5000));
  AddSettled(compact);
  if (!random_.Chance(3000)) return;
  // Who goes on right behind it learns what was there before, which the compact revision still has.
  WatchControl control{.stream = static_cast<int>(random_.Between(0, kStreams - 1)), .request = {}};
  pb::WatchCreateRequest& create = *control.request.mutable_create_request();
  create.set_key(std::string(1, '\0'));
  create.set_range_end(create.key());
  create.set_start_revision(compact.revision() + 1);
  create.set_prev_kv(true);
  Add(std::move(control));
}

void Generator::AddMaintenance() {
  const int64_t kind = random_.Between(0, 99);
  if (kind < 30) {
    AddCompaction();
  } else if (kind < 60) {
    pb::HashKVRequest hash;
    if (random_.Chance(4000) && model_.revision() > model_.compacted() + 1) {
      hash.set_revision(
          random_.Between(std::max<int64_t>(1, model_.compacted() + 1), model_.revision()));
    }
    Add(hash);
  } else if (kind < 70) {
    Add(pb::StatusRequest());
  } else if (kind < 78) {
    Add(pb::HashRequest());
  } else if (kind < 88) {
    AddAlarm();
  } else if (kind < 93) {
    pb::MemberListRequest list;
    list.set_linearizable(random_.Chance(5000));
    Add(list);
  } else if (random_.Chance(3000)) {
    Add(pb::DefragmentRequest());
  } else if (random_.Chance(5000)) {
    AddKill();
  } else {
    AddManyKeys();
  }
}

// An alarm for some requests, of which it refuses a part. Never two kinds at a time: of them the
// one that came last would count in etcd, until its next start.
void Generator::AddAlarm() {
  pb::AlarmRequest alarm;
  alarm.set_alarm(static_cast<pb::AlarmType>(random_.Between(0, 2)));
  Add(alarm);
  if (random_.Chance(6000)) return;
  if (random_.Chance(5000)) alarm.set_memberid(static_cast<uint64_t>(random_.Between(1, 1000)));
  alarm.set_action(pb::AlarmRequest::ACTIVATE);
  AddSettled(alarm);
  if (random_.Chance(2000)) Add(alarm);  // it is raised already
  pb::AlarmRequest second = alarm;       // of another member
  const bool two = random_.Chance(3000);
  second.set_memberid(alarm.memberid() + 1);
  if (two) Add(second);
  for (int64_t i = random_.Between(4, 12); i > 0; --i) AddUnderAlarm();
  Add(pb::AlarmRequest());
  Add(pb::StatusRequest());
  if (random_.Chance(500)) {
    AddKill();
    AddUnderAlarm();
    Add(pb::AlarmRequest());
  }
  alarm.set_action(pb::AlarmRequest::DEACTIVATE);
  Add(alarm);
  if (two) {
    AddUnderAlarm();
    second.set_action(pb::AlarmRequest::DEACTIVATE);
    Add(second);
  }
  if (random_.Chance(3000)) Add(alarm);  // it is gone already
  Add(pb::StatusRequest());
}

void Generator::AddUnderAlarm() {
  const int64_t kind = random_.Between(0, 99);
  if (kind < 50) {
    AddWrite();
  } else if (kind < 70) {
    AddRead();
  } else if (kind < 76) {
    AddCompaction();
  } else if (kind < 84) {
    pb::LeaseGrantRequest grant;
    grant.set_id(NewLeaseId());
    grant.set_ttl(random_.Chance(2000) ? 9'000'000'001 : 1000);
    Add(grant);
  } else if (kind < 92 && !model_.leases().empty()) {
    pb::LeaseRevokeRequest revoke;
    revoke.set_id(random_.Pick(model_.leases()).first);
    Add(revoke);
  } else {
    // Nothing but ranges, though not at first sight.
    pb::TxnRequest txn;
    *txn.add_success()->mutable_request_txn()->add_success()->mutable_request_range() =
        ops_.RangeInTxn();
    Add(txn);
  }
}

// Everything that the servers hold must be there again.
void Generator::AddKill() {
  AddSettled(KillServers());
  pb::RangeRequest all;
  all.set_key(std::string(1, '\0'));
  all.set_range_end(all.key());
  Add(all);
  all.set_revision(ops_.OldRevision());
  Add(all);
  Add(pb::HashKVRequest());
  Add(pb::LeaseLeasesRequest());
}

// More keys than a server reads in one go, and readings of them in one answer and in pieces.
void Generator::AddManyKeys() {
  const std::string prefix = "/many/";
  for (int i = 0; i < 20; ++i) {
    pb::TxnRequest txn;
    for (int j = 0; j < 120; ++j) {
      pb::PutRequest& put = *txn.add_success()->mutable_request_put();
      put.set_key(prefix + std::to_string(i) + "/" + std::to_string(j));
      put.set_value(ops_.Value());
    }
    Add(txn);
  }
  pb::RangeRequest range;
  range.set_key(prefix);
  range.set_range_end(Keyspace::EndOf(prefix));
  Add(range);
  Add(StreamedRange{range});
  range.set_limit(2100);
  range.set_keys_only(true);
  Add(range);
  Add(StreamedRange{range});
  range.set_revision(model_.revision());  // before any of them
  Add(StreamedRange{range});
  range.clear_revision();
  range.set_count_only(true);
  Add(StreamedRange{range});
  range.clear_count_only();
  range.set_sort_target(pb::RangeRequest::VALUE);
  Add(range);
  pb::DeleteRangeRequest remove;
  remove.set_key(prefix);
  remove.set_range_end(Keyspace::EndOf(prefix));
  remove.set_prev_kv(true);
  Add(remove);
}

void Generator::AddWatchCall() {
  const int64_t kind = random_.Between(0, 999);
  if (kind < 500) {
    AddWatchCreate();
  } else if (kind < 770) {
    AddWatchCancel();
  } else if (kind < 940) {
    AddProgress();
  } else if (kind < 960) {
    AddNotification();
  } else if (kind < 980) {
    AddFragments();
  } else if (!model_.streams().empty()) {
    AddSettled(CloseWatchStream{random_.Pick(model_.streams()).first});
  }
}

void Generator::AddWatchCreate() {
  const int stream = static_cast<int>(random_.Between(0, kStreams - 1));
  const auto found = model_.streams().find(stream);
  if (found != model_.streams().end() && found->second.watches.size() >= 4 * kMaxWatches) {
    return AddSettled(CloseWatchStream{stream});
  }
  WatchControl control{.stream = stream, .request = {}};
  pb::WatchCreateRequest& create = *control.request.mutable_create_request();
  if (random_.Chance(3500)) {
    create.set_key(ops_.AnyKey());
  } else {
    auto [start, end] = ops_.SomeRange();
    if (random_.Chance(500)) start.clear();  // which etcd takes for "\0"
    create.set_key(start);
    create.set_range_end(end);
  }
  if (random_.Chance(4500)) {
    create.set_start_revision(ops_.OldRevision());
    if (model_.compacted() > 2 && random_.Chance(800)) {
      create.set_start_revision(random_.Between(1, model_.compacted() - 1));
    }
  } else if (random_.Chance(1000)) {
    create.set_start_revision(model_.revision() + random_.Between(1, 20));
  }
  create.set_prev_kv(random_.Chance(5000));
  create.set_progress_notify(random_.Chance(2000));
  create.set_fragment(random_.Chance(2000));
  if (random_.Chance(1000)) create.add_filters(pb::WatchCreateRequest::NOPUT);
  if (random_.Chance(1000)) create.add_filters(pb::WatchCreateRequest::NODELETE);
  if (random_.Chance(2500)) {
    create.set_watch_id(random_.Between(1, 60));
    if (found != model_.streams().end()) {
      const auto known = found->second.watches.find(create.watch_id());
      // One that was used before is as good as a new one, once it is free.
      if (known != found->second.watches.end() && known->second.known) create.clear_watch_id();
    }
  }
  Add(std::move(control));
}

void Generator::AddWatchCancel() {
  std::vector<std::pair<int, int64_t>> known;
  for (const auto& [number, stream] : model_.streams()) {
    for (const auto& [id, watch] : stream.watches) {
      if (watch.known) known.emplace_back(number, id);
    }
  }
  if (known.empty()) return;
  const auto [stream, id] = random_.Pick(known);
  WatchControl control{.stream = stream, .request = {}};
  control.request.mutable_cancel_request()->set_watch_id(id);
  AddSettled(std::move(control));
}

// etcd answers only once every watch that it knows of the stream is synced and has started; one
// that was cut off by a compaction never is.
void Generator::AddProgress() {
  std::vector<int> able;
  for (const auto& [number, stream] : model_.streams()) {
    bool any = false, all = true;
    for (const auto& [id, watch] : stream.watches) {
      if (!watch.known) continue;
      any = true;
      if (!watch.live || watch.start > model_.revision()) all = false;
    }
    if (any && all) able.push_back(number);
  }
  if (!able.empty()) AddSettled(WatchProgress{random_.Pick(able)});
}

void Generator::AddNotification() {
  for (const auto& [number, stream] : model_.streams()) {
    for (const auto& [id, watch] : stream.watches) {
      if (watch.live && watch.progress_notify && watch.start <= model_.revision()) {
        return AddSettled(AwaitNotification{number, id});
      }
    }
  }
}

// More events than fit into one response, for a watch that takes fragments and for one that does
// not.
void Generator::AddFragments() {
  const int64_t start = model_.revision() + 1;
  const std::string prefix = "/fragments/";
  for (int i = 0; i < 5; ++i) {
    pb::PutRequest put;
    put.set_key(prefix + std::to_string(i));
    put.set_value(std::string(700'000, static_cast<char>('a' + i)));
    Add(put);
  }
  for (const bool fragment : {true, false}) {
    WatchControl control{.stream = fragment ? 0 : 1, .request = {}};
    pb::WatchCreateRequest& create = *control.request.mutable_create_request();
    create.set_key(prefix);
    create.set_range_end(Keyspace::EndOf(prefix));
    create.set_start_revision(start);
    create.set_fragment(fragment);
    Add(std::move(control));
  }
  pb::DeleteRangeRequest remove;
  remove.set_key(prefix);
  remove.set_range_end(Keyspace::EndOf(prefix));
  AddSettled(remove);
}

}  // namespace jetd::conformance::differential
