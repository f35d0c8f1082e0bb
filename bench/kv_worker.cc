// SPDX-License-Identifier: Apache-2.0
#include "bench/kv_worker.h"

#include <utility>

#include "base/strings.h"

namespace jetd::bench {

namespace pb = etcdclient::pb;

KvWorker::KvWorker(KvWork* work, int id, int count)
    : work_(work), step_(count), fresh_(id), random_(static_cast<unsigned>(id) + 1) {
  for (; fresh_ < work_->keys->end(); fresh_ += step_) {
    if (work_->keys->RevisionOf(fresh_) != 0) live_.push_back(fresh_);
  }
  const auto answered = [this](const absl::Status& status) { Answered(status); };
  txn_ = work_->caller->NewCall<pb::TxnRequest>(id, answered);
  get_ = work_->caller->NewCall<pb::RangeRequest>(id, answered);
}

std::optional<KvWorker::Op> KvWorker::Choose() {
  auto at = static_cast<int>(random_() % 100);
  if ((at -= work_->creates) < 0) return Op::kCreate;
  if (live_.empty()) return work_->creates > 0 ? std::optional(Op::kCreate) : std::nullopt;
  place_ = random_() % live_.size();
  if ((at -= work_->updates) < 0) return Op::kUpdate;
  if ((at -= work_->deletes) < 0) return Op::kDelete;
  return Op::kGet;
}

bool KvWorker::Start(int64_t due_ns) {
  const auto op = Choose();
  if (!op.has_value()) return false;
  op_ = *op;
  if (op_ == Op::kCreate) {
    StartCreate(due_ns);
    return true;
  }
  index_ = live_[place_];
  work_->keys->NameOf(index_, &name_);
  if (op_ == Op::kGet) {
    get_->request().set_key(name_);
    get_->Start();
  } else {
    StartChange(due_ns);
  }
  return true;
}

void KvWorker::StartCreate(int64_t due_ns) {
  index_ = fresh_;
  fresh_ += step_;
  work_->keys->NameOf(index_, &name_);
  pb::TxnRequest& request = txn_->request();
  request.Clear();
  pb::Compare& compare = *request.add_compare();
  compare.set_target(pb::Compare::MOD);
  compare.set_key(name_);
  compare.set_mod_revision(0);
  pb::PutRequest& put = *request.add_success()->mutable_request_put();
  put.set_key(name_);
  work_->values->Make(due_ns, index_, work_->value_bytes, put.mutable_value());
  txn_->Start();
}

void KvWorker::StartChange(int64_t due_ns) {
  pb::TxnRequest& request = txn_->request();
  request.Clear();
  pb::Compare& compare = *request.add_compare();
  compare.set_target(pb::Compare::MOD);
  compare.set_key(name_);
  compare.set_mod_revision(work_->keys->RevisionOf(index_));
  pb::RequestOp& then = *request.add_success();
  if (op_ == Op::kUpdate) {
    pb::PutRequest& put = *then.mutable_request_put();
    put.set_key(name_);
    work_->values->Make(due_ns, index_, work_->value_bytes, put.mutable_value());
  } else {
    then.mutable_request_delete_range()->set_key(name_);
  }
  request.add_failure()->mutable_request_range()->set_key(name_);
  txn_->Start();
}

std::string KvWorker::CheckGet() {
  const pb::RangeResponse& answer = get_->response();
  if (answer.kvs_size() != 1) return Cat("get: ", answer.kvs_size(), " keys for ", name_);
  const auto& kv = answer.kvs(0);
  if (kv.key() != name_) return Cat("get: ", kv.key(), " for ", name_);
  if (kv.mod_revision() != work_->keys->RevisionOf(index_)) {
    return Cat("get: ", name_, " at ", kv.mod_revision(), ", but it was written at ",
               work_->keys->RevisionOf(index_));
  }
  if (!work_->values->DueOf(kv.value(), index_).has_value()) {
    return Cat("get: ", name_, " has a value that nobody wrote");
  }
  return "";
}

std::string KvWorker::CheckTxn() {
  const pb::TxnResponse& answer = txn_->response();
  if (!answer.succeeded()) return Cat("the compare on ", name_, " failed");
  if (answer.responses_size() != 1) return "a transaction of one operation has not one answer";
  if (op_ == Op::kDelete && answer.responses(0).response_delete_range().deleted() != 1) {
    return Cat("nothing was deleted for ", name_);
  }
  if (answer.header().revision() <= work_->keys->RevisionOf(index_)) {
    return Cat(name_, " was written at ", answer.header().revision(), ", not above before");
  }
  return "";
}

std::optional<Outcome> KvWorker::Finish(const absl::Status& status) {
  if (!status.ok()) {
    // Whether a write happened is not known: leave its key alone.
    if (op_ == Op::kUpdate || op_ == Op::kDelete) {
      live_[place_] = live_.back();
      live_.pop_back();
    }
    return Outcome{.error = std::string(MessageOf(status))};
  }
  if (op_ == Op::kGet) return Outcome{.error = CheckGet()};
  Outcome outcome{.error = CheckTxn()};
  if (!outcome.error.empty()) return outcome;
  const int64_t revision = txn_->response().header().revision();
  work_->keys->SetRevision(index_, op_ == Op::kDelete ? 0 : revision);
  if (op_ == Op::kCreate) {
    live_.push_back(index_);
  } else if (op_ == Op::kDelete) {
    live_[place_] = live_.back();
    live_.pop_back();
  } else if (work_->on_updated) {
    work_->on_updated(index_);
  }
  return outcome;
}

void KvWorker::Cancel() {
  if (op_ == Op::kGet) {
    get_->Cancel();
  } else {
    txn_->Cancel();
  }
}

}  // namespace jetd::bench
