// SPDX-License-Identifier: Apache-2.0
#include "conformance/history/follower.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/strings.h"
#include "conformance/history/load.h"
#include "conformance/watch_reader.h"

namespace jetd::conformance::history {
namespace {

namespace pb = etcdclient::pb;

}  // namespace

Follower::Follower(Options options, const KeySpace* keys)
    : options_(std::move(options)), keys_(keys) {
  {
    MutexLock lock(mutex_);
    orders_.assign(options_.watches.size(), WatchOrder(options_.start_revision));
    taken_.events.resize(options_.watches.size());
  }
  thread_ = std::thread([this] { Run(); });
}

Follower::~Follower() { Stop(); }

void Follower::Stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

int64_t Follower::complete() const {
  MutexLock lock(mutex_);
  int64_t complete = orders_.front().complete();
  for (const WatchOrder& order : orders_) complete = std::min(complete, order.complete());
  return complete;
}

std::string Follower::Progress() const {
  MutexLock lock(mutex_);
  std::string text = Cat(options_.name, " (stream ", streams_.load(), ", ",
                         progress_answers_.load(), " progress answers) is at revision");
  for (const WatchOrder& order : orders_) CatTo(text, " ", order.complete());
  return text;
}

Follower::Taken Follower::Take(int64_t revision) {
  MutexLock lock(mutex_);
  Taken taken = std::exchange(taken_, {});
  taken_.events.resize(options_.watches.size());
  const auto keep_later = [revision](auto& items, auto& later) {
    const auto from = std::stable_partition(
        items.begin(), items.end(), [&](const auto& item) { return item.revision <= revision; });
    later.assign(from, items.end());
    items.erase(from, items.end());
  };
  keep_later(taken.sightings, taken_.sightings);
  for (size_t i = 0; i < taken.events.size(); ++i) keep_later(taken.events[i], taken_.events[i]);
  return taken;
}

void Follower::Run() {
  const auto client = etcdclient::Client::Connect({.endpoint = options_.endpoint});
  JETD_CHECK(client.ok()) << client.status();
  while (!stop_) {
    const auto stream = (*client)->OpenWatch();
    ++streams_;
    Create(*stream);
    ReadWatch(*stream, stop_, options_.reopen_after,
              [this](const pb::WatchResponse& response) { return Take(response); });
  }
}

void Follower::Create(etcdclient::WatchStream& stream) {
  MutexLock lock(mutex_);
  for (size_t i = 0; i < orders_.size(); ++i) {
    orders_[i].Reopen();
    pb::WatchRequest request;
    pb::WatchCreateRequest& create = *request.mutable_create_request();
    create = ToCreate(*keys_, options_.watches[i], orders_[i].complete() + 1);
    create.set_watch_id(static_cast<int64_t>(i) + 1);
    stream.Send(std::move(request));
  }
}

void Follower::Note(const std::string& wrong) {
  if (!wrong.empty()) taken_.violations.Add("watch order", Cat(options_.name, ": ", wrong));
}

bool Follower::Take(const pb::WatchResponse& response) {
  MutexLock lock(mutex_);
  if (response.canceled()) {
    if (response.compact_revision() != 0) {
      taken_.violations.Add("compacted watch",
                            Cat(options_.name, ": compacted at ", response.compact_revision()));
      stop_ = true;
    }
    return false;
  }
  if (response.events().empty() && !response.created()) {
    TakeProgress(response);
    return true;
  }
  const int64_t watch = response.watch_id() - 1;
  if (watch < 0 || watch >= static_cast<int64_t>(orders_.size())) {
    Note(Cat("events for the watch ", response.watch_id(), ", which is not there"));
    return false;
  }
  if (response.created()) {
    orders_[static_cast<size_t>(watch)].TakeCreated();
  } else {
    TakeEvents(static_cast<size_t>(watch), response);
  }
  return true;
}

void Follower::TakeEvents(size_t watch, const pb::WatchResponse& response) {
  Note(orders_[watch].TakeEvents(response));
  for (const auto& event : response.events()) {
    taken_.events[watch].push_back(ToWatchEvent(*keys_, event));
  }
  taken_.sightings.push_back({SteadyNowNs(), taken_.events[watch].back().revision});
}

// The id -1 stands for all watches of the stream.
void Follower::TakeProgress(const pb::WatchResponse& response) {
  ++progress_answers_;
  for (size_t i = 0; i < orders_.size(); ++i) {
    const int64_t id = static_cast<int64_t>(i) + 1;
    if (response.watch_id() == id || response.watch_id() == -1) {
      Note(orders_[i].TakeProgress(response.header().revision()));
    }
  }
}

}  // namespace jetd::conformance::history
