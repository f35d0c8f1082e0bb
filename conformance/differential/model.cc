// SPDX-License-Identifier: Apache-2.0
#include "conformance/differential/model.h"

#include <algorithm>
#include <utility>

namespace jetd::conformance::differential {
namespace {

template <typename T>
const T& As(const Answer& answer) {
  return static_cast<const T&>(*answer.message);
}

bool Wants(const Model::Watch& watch, int64_t revision, const std::string& key, bool is_delete) {
  return watch.live && revision >= watch.start && !(is_delete ? watch.no_delete : watch.no_put) &&
         InRange(key, watch.key, watch.end);
}

}  // namespace

bool InRange(const std::string& key, const std::string& start, const std::string& end) {
  if (end.empty()) return key == start;
  if (end.size() == 1 && end[0] == '\0') return key >= start;
  return key >= start && key < end;
}

void Model::Record(Change change) {
  for (auto& [number, stream] : streams_) {
    for (auto& [id, watch] : stream.watches) {
      if (Wants(watch, change.revision, change.key, change.is_delete)) ++watch.expected_events;
    }
  }
  history_.push_back(std::move(change));
}

void Model::Advance(int64_t revision) {
  if (revision > revision_) {
    revision_ = revision;
    ++changes_;
  }
}

void Model::ApplyPut(const pb::PutRequest& put, int64_t revision) {
  Key& key = keys_[put.key()];
  if (key.version == 0) key.create = revision;
  key.mod = revision;
  ++key.version;
  if (!put.ignore_value()) key.value = put.value();
  if (!put.ignore_lease()) key.lease = put.lease();
  Record({revision, put.key(), false});
}

void Model::ApplyDelete(const std::string& start, const std::string& end, int64_t revision) {
  for (auto it = keys_.lower_bound(start); it != keys_.end() && InRange(it->first, start, end);) {
    Record({revision, it->first, true});
    it = keys_.erase(it);
  }
}

void Model::ApplyTxn(const pb::TxnRequest& txn, const pb::TxnResponse& answer, int64_t revision) {
  const auto& ops = answer.succeeded() ? txn.success() : txn.failure();
  for (int i = 0; i < ops.size(); ++i) {
    const pb::RequestOp& op = ops[i];
    if (op.has_request_put()) {
      ApplyPut(op.request_put(), revision);
    } else if (op.has_request_delete_range()) {
      ApplyDelete(op.request_delete_range().key(), op.request_delete_range().range_end(), revision);
    } else if (op.has_request_txn()) {
      ApplyTxn(op.request_txn(), answer.responses(i).response_txn(), revision);
    }
  }
}

void Model::ApplyWatch(const WatchControl& control, const pb::WatchResponse& answer) {
  Stream& stream = streams_[control.stream];
  if (!control.request.has_create_request()) {
    const auto watch = stream.watches.find(control.request.cancel_request().watch_id());
    if (watch != stream.watches.end()) watch->second.live = watch->second.known = false;
    return;
  }
  if (answer.canceled()) return;  // refused
  const pb::WatchCreateRequest& request = control.request.create_request();
  Watch& watch = stream.watches[answer.watch_id()];
  watch.live = watch.known = true;
  watch.key = request.key().empty() ? std::string(1, '\0') : request.key();
  watch.end = request.range_end();
  watch.start = request.start_revision() == 0 ? revision_ + 1 : request.start_revision();
  watch.progress_notify = request.progress_notify();
  watch.no_put = watch.no_delete = false;
  for (const int filter : request.filters()) {
    if (filter == pb::WatchCreateRequest::NOPUT) watch.no_put = true;
    if (filter == pb::WatchCreateRequest::NODELETE) watch.no_delete = true;
  }
  if (watch.start < compacted_) {
    watch.live = false;  // but etcd keeps its id
    ++watch.expected_compacted;
    return;
  }
  const int64_t before = watch.expected_events;
  for (const Change& change : history_) {
    if (Wants(watch, change.revision, change.key, change.is_delete)) ++watch.expected_events;
  }
  watch.unsynced = watch.start <= revision_ && watch.expected_events == before;
}

void Model::AllSynced() {
  for (auto& [number, stream] : streams_) {
    for (auto& [id, watch] : stream.watches) watch.unsynced = false;
  }
}

void Model::ApplyCompaction(int64_t revision) {
  compacted_ = revision;
  compactions_.push_back(revision);
  ++changes_;
  // A watch may still start at the compacted revision: its own changes stay.
  history_.erase(std::remove_if(history_.begin(), history_.end(),
                                [&](const Change& change) { return change.revision < revision; }),
                 history_.end());
}

void Model::DropLease(int64_t lease) {
  if (leases_.erase(lease) == 0) return;
  ++changes_;
  // A map is sorted, as is the order in which etcd deletes them.
  std::vector<std::string> attached;
  for (const auto& [name, key] : keys_) {
    if (key.lease == lease) attached.push_back(name);
  }
  for (const std::string& name : attached) ApplyDelete(name, "", revision_ + 1);
  if (!attached.empty()) ++revision_;
}

void Model::Apply(const Step& step, const Answer& answer) {
  if (!answer.status.ok()) return;
  const Call& call = step.call;
  if (const auto* put = std::get_if<pb::PutRequest>(&call)) {
    const int64_t revision = As<pb::PutResponse>(answer).header().revision();
    ApplyPut(*put, revision);
    Advance(revision);
  } else if (const auto* remove = std::get_if<pb::DeleteRangeRequest>(&call)) {
    const int64_t revision = As<pb::DeleteRangeResponse>(answer).header().revision();
    ApplyDelete(remove->key(), remove->range_end(), revision);
    Advance(revision);
  } else if (const auto* txn = std::get_if<pb::TxnRequest>(&call)) {
    const auto& response = As<pb::TxnResponse>(answer);
    ApplyTxn(*txn, response, response.header().revision());
    Advance(response.header().revision());
  } else if (const auto* compaction = std::get_if<pb::CompactionRequest>(&call)) {
    ApplyCompaction(compaction->revision());
  } else if (const auto* grant = std::get_if<pb::LeaseGrantRequest>(&call)) {
    const auto& response = As<pb::LeaseGrantResponse>(answer);
    leases_[response.id()] = {response.ttl(), grant->id() == 0};
    ++changes_;
  } else if (const auto* revoke = std::get_if<pb::LeaseRevokeRequest>(&call)) {
    DropLease(revoke->id());
  } else if (const auto* expiry = std::get_if<AwaitExpiry>(&call)) {
    DropLease(expiry->lease);
  } else if (const auto* control = std::get_if<WatchControl>(&call)) {
    if (control->answered) ApplyWatch(*control, As<pb::WatchResponse>(answer));
  } else if (const auto* close = std::get_if<CloseWatchStream>(&call)) {
    streams_.erase(close->stream);
  } else if (std::holds_alternative<KillServers>(call)) {
    streams_.clear();
  }
}

}  // namespace jetd::conformance::differential
