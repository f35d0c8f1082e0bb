// SPDX-License-Identifier: Apache-2.0
#include "bench/watcher.h"

#include <chrono>
#include <utility>

#include "base/check.h"
#include "base/strings.h"
#include "bench/driver.h"
#include "bench/key_space.h"

namespace jetd::bench {
namespace {

namespace pb = etcdclient::pb;

constexpr int64_t kPatienceNs = 60'000'000'000;

}  // namespace

Watcher::Watcher(etcdclient::Caller* caller, int connection, std::string prefix,
                 const ValueMaker* values, const KeySpace* keys, Lag* lag)
    : prefix_(std::move(prefix)), values_(values), keys_(keys), lag_(lag) {
  stream_ = caller->NewStream<pb::WatchRequest, pb::WatchResponse>(
      connection, {.on_message = [this](const pb::WatchResponse& response) { Take(response); },
                   .on_end =
                       [this](const absl::Status& status) {
                         ended_ = true;
                         if (!canceled_ && error_.empty()) {
                           error_ = Cat("a watch ended: ", MessageOf(status));
                         }
                       }});
  pb::WatchRequest request;
  pb::WatchCreateRequest& create = *request.mutable_create_request();
  create.set_key(prefix_);
  create.set_range_end(PrefixEnd(prefix_));
  create.set_progress_notify(true);
  stream_->Send(std::move(request));
}

void Watcher::Cancel() {
  canceled_ = true;
  stream_->Cancel();
}

void Watcher::Take(const pb::WatchResponse& response) {
  if (response.created()) created_ = true;
  if (response.canceled() && error_.empty()) {
    error_ = Cat("a watch was canceled: ", response.cancel_reason());
  }
  const int64_t now_ns = NowNs();
  for (const auto& event : response.events()) {
    ++events_;
    if (event.kv().mod_revision() <= last_revision_ && error_.empty()) {
      error_ = Cat("an event at ", event.kv().mod_revision(), " after ", last_revision_);
    }
    last_revision_ = event.kv().mod_revision();
    if (error_.empty()) error_ = Check(event);
    const int64_t due_ns = ValueMaker::StampOf(event.kv().value());
    if (due_ns >= lag_->from_ns) lag_->histogram.Add(now_ns - due_ns);
  }
}

std::string Watcher::Check(const mvccpb::Event& event) const {
  const std::string& key = event.kv().key();
  const std::string& value = event.kv().value();
  const auto index = keys_->IndexOf(key);
  if (event.type() != mvccpb::Event::PUT || !index.has_value() || !key.starts_with(prefix_)) {
    return Cat("an event that nobody brought about: of ", key);
  }
  const bool whole = events_ % kBytesOfEach == 0;
  if (whole ? values_->DueOf(value, *index).has_value() : ValueMaker::IndexIn(value) == *index) {
    return {};
  }
  return Cat("an event of ", key, " with another value than was written");
}

absl::Status WaitCreated(etcdclient::Caller* caller,
                         const std::vector<std::unique_ptr<Watcher>>& watchers) {
  const int64_t patient_until_ns = NowNs() + kPatienceNs;
  for (const auto& watcher : watchers) {
    while (!watcher->created()) {
      if (!watcher->error().empty()) return absl::UnavailableError(watcher->error());
      if (NowNs() >= patient_until_ns) return absl::DeadlineExceededError("a watch is not created");
      (void)caller->RunOnce(std::chrono::steady_clock::now() + std::chrono::milliseconds(100));
    }
  }
  return absl::OkStatus();
}

void CancelAll(etcdclient::Caller* caller, const std::vector<std::unique_ptr<Watcher>>& watchers) {
  for (const auto& watcher : watchers) watcher->Cancel();
  const int64_t patient_until_ns = NowNs() + kPatienceNs;
  for (const auto& watcher : watchers) {
    while (!watcher->ended()) {
      JETD_CHECK(NowNs() < patient_until_ns) << "a canceled watch does not end";
      (void)caller->RunOnce(std::chrono::steady_clock::now() + std::chrono::milliseconds(100));
    }
  }
}

}  // namespace jetd::bench
