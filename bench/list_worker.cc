// SPDX-License-Identifier: Apache-2.0
#include "bench/list_worker.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"

namespace jetd::bench {

namespace pb = etcdclient::pb;

std::string ListCheck::Add(const pb::RangeResponse& piece) {
  const std::string* last = &last_key_;
  for (const auto& kv : piece.kvs()) {
    if (kv.key() <= *last) return Cat("list: ", kv.key(), " after ", *last);
    last = &kv.key();
    const auto index = keys_->IndexOf(kv.key());
    if (!index.has_value()) return Cat("list: ", kv.key(), " is not ours");
    if (kv.mod_revision() != keys_->RevisionOf(*index)) {
      return Cat("list: ", kv.key(), " at ", kv.mod_revision(), ", but it was written at ",
                 keys_->RevisionOf(*index));
    }
    if (!values_->DueOf(kv.value(), *index).has_value()) {
      return Cat("list: ", kv.key(), " has a value that nobody wrote");
    }
  }
  seen_ += piece.kvs_size();
  if (piece.kvs_size() > 0) last_key_ = *last;
  return "";
}

std::string ListCheck::Complete() const {
  if (seen_ == keys_->live()) return "";
  return Cat("list: ", seen_, " keys of ", keys_->live());
}

void ListCheck::Reset() {
  seen_ = 0;
  last_key_.clear();
}

ListWorker::ListWorker(etcdclient::Caller* caller, const ValueMaker* values, const KeySpace* keys,
                       int limit, int id)
    : keys_(keys), limit_(limit), check_(values, keys) {
  call_ = caller->NewCall<pb::RangeRequest>(
      id, [this](const absl::Status& status) { Answered(status); });
  call_->request().set_range_end(PrefixEnd(keys->prefix()));
  call_->request().set_limit(limit);
  StartOver();
}

void ListWorker::StartOver() {
  check_.Reset();
  call_->request().set_key(keys_->prefix());
  call_->request().clear_revision();
}

bool ListWorker::Start(int64_t /*due_ns*/) {
  call_->Start();
  return true;
}

std::string ListWorker::Check() {
  const pb::RangeResponse& answer = call_->response();
  const int64_t before = check_.seen();
  if (std::string error = check_.Add(answer); !error.empty()) return error;
  const int64_t left = keys_->live() - before;
  if (limit_ > 0 && answer.kvs_size() != std::min<int64_t>(limit_, left)) {
    return Cat("list: a page of ", answer.kvs_size(), " keys, where ", left, " are left");
  }
  if (answer.count() != left) {
    return Cat("list: a count of ", answer.count(), ", where ", left, " are left");
  }
  if (!answer.more()) return check_.Complete();
  return answer.kvs_size() > 0 ? "" : "list: an empty page, and there is more";
}

std::optional<Outcome> ListWorker::Finish(const absl::Status& status) {
  if (!status.ok()) {
    StartOver();
    return Outcome{.error = std::string(MessageOf(status))};
  }
  const pb::RangeResponse& answer = call_->response();
  Outcome outcome{.items = answer.kvs_size(), .error = Check()};
  if (!outcome.error.empty() || !answer.more()) {
    StartOver();
    return outcome;
  }
  pb::RangeRequest& request = call_->request();
  if (request.revision() == 0) request.set_revision(answer.header().revision());
  request.set_key(Cat(check_.last_key(), '\0'));
  return outcome;
}

RangeStreamWorker::RangeStreamWorker(etcdclient::Caller* caller, const ValueMaker* values,
                                     const KeySpace* keys, int id)
    : caller_(caller), keys_(keys), id_(id), check_(values, keys) {}

bool RangeStreamWorker::Start(int64_t /*due_ns*/) {
  check_.Reset();
  error_.clear();
  previous_ = std::move(stream_);
  stream_ = caller_->NewStream<pb::RangeRequest, pb::RangeStreamResponse>(
      id_, {.on_message =
                [this](const pb::RangeStreamResponse& piece) {
                  if (error_.empty()) error_ = check_.Add(piece.range_response());
                },
            .on_end = [this](const absl::Status& status) { Answered(status); }});
  pb::RangeRequest request;
  request.set_key(keys_->prefix());
  request.set_range_end(PrefixEnd(keys_->prefix()));
  stream_->Send(std::move(request));
  stream_->CloseSend();
  return true;
}

std::optional<Outcome> RangeStreamWorker::Finish(const absl::Status& status) {
  if (!status.ok()) return Outcome{.error = std::string(MessageOf(status))};
  if (error_.empty()) error_ = check_.Complete();
  return Outcome{.items = check_.seen(), .error = error_};
}

}  // namespace jetd::bench
