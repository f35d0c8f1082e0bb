// SPDX-License-Identifier: Apache-2.0
#include "conformance/fanout/subscriber.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <utility>

#include "base/check.h"
#include "base/strings.h"
#include "conformance/range_end.h"

namespace jetd::conformance {

namespace pb = etcdclient::pb;

std::string GroupPrefix(int group) { return Cat("/fanout/", group, "/"); }

int64_t SteadyNowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string StampedValue(size_t size_bytes) {
  std::string value = Cat(SteadyNowNs(), " ");
  if (value.size() < size_bytes) value.append(size_bytes - value.size(), 'v');
  return value;
}

int64_t StampOf(const std::string& value) {
  int64_t stamp = 0;
  std::from_chars(value.data(), value.data() + value.size(), stamp);
  return stamp;
}

Subscriber::Subscriber(const Options& options)
    : options_(options), revisions_(static_cast<size_t>(options.watches)) {
  auto client = etcdclient::Client::Connect({.endpoint = options_.endpoint});
  JETD_CHECK(client.ok()) << client.status();
  client_ = *std::move(client);
  stream_ = client_->OpenWatch({.on_message = [this](const pb::WatchResponse& r) { Take(r); },
                                .on_end = [this](const absl::Status&) { ended_ = true; }});
  for (int i = 0; i < options_.watches; ++i) {
    pb::WatchRequest request;
    pb::WatchCreateRequest& create = *request.mutable_create_request();
    create.set_key(GroupPrefix(GroupOf(i)));
    create.set_range_end(PrefixEnd(create.key()));
    create.set_watch_id(i + 1);
    stream_->Send(std::move(request));
  }
}

Subscriber::~Subscriber() { Close(); }

void Subscriber::Close() { stream_.reset(); }

void Subscriber::Take(const pb::WatchResponse& response) {
  if (response.created()) ++created_;
  if (response.canceled()) ended_ = true;
  const int64_t watch = response.watch_id() - 1;
  if (watch < 0 || watch >= options_.watches) return;
  const int64_t now_ns = SteadyNowNs();
  for (const auto& event : response.events()) {
    revisions_[static_cast<size_t>(watch)].push_back(event.kv().mod_revision());
    const int64_t age_us = (now_ns - StampOf(event.kv().value())) / 1000;
    ages_us_.push_back(static_cast<uint32_t>(std::clamp<int64_t>(age_us, 0, UINT32_MAX)));
  }
  events_ += static_cast<size_t>(response.events_size());
}

}  // namespace jetd::conformance
