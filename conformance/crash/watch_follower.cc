// SPDX-License-Identifier: Apache-2.0
#include "conformance/crash/watch_follower.h"

#include <chrono>
#include <memory>
#include <utility>

#include "base/check.h"
#include "base/strings.h"
#include "conformance/range_end.h"

namespace jetd::conformance {
namespace {

using std::chrono::milliseconds;
namespace pb = etcdclient::pb;

}  // namespace

WatchFollower::WatchFollower(Options options)
    : options_(std::move(options)),
      seen_(options_.start_revision - 1),
      order_(options_.start_revision),
      thread_([this] { Run(); }) {}

WatchFollower::~WatchFollower() { Stop(); }

void WatchFollower::Stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void WatchFollower::Run() {
  const auto client = etcdclient::Client::Connect({.endpoint = options_.endpoint});
  JETD_CHECK(client.ok()) << client.status();
  while (!stop_) {
    const auto stream = (*client)->OpenWatch();
    ++streams_;
    pb::WatchRequest request;
    pb::WatchCreateRequest& create = *request.mutable_create_request();
    create.set_key(options_.prefix);
    create.set_range_end(PrefixEnd(options_.prefix));
    create.set_start_revision(seen_ + 1);
    stream->Send(std::move(request));
    Follow(*stream);
  }
}

void WatchFollower::Follow(etcdclient::WatchStream& stream) {
  for (int responses = 0; !stop_; ++responses) {
    if (options_.reopen_after > 0 && responses > options_.reopen_after) return;
    const auto response = stream.Next(milliseconds(300));
    if (response.ok()) {
      if (!Take(*response)) return;
    } else if (response.status().code() == absl::StatusCode::kDeadlineExceeded) {
      pb::WatchRequest request;
      request.mutable_progress_request();
      stream.Send(std::move(request));
    } else {
      // The server is away. Nothing but a pause between two attempts hangs on this sleep.
      std::this_thread::sleep_for(milliseconds(50));
      return;
    }
  }
}

void WatchFollower::Note(const std::string& wrong) {
  if (!wrong.empty()) violations_.push_back(Cat(options_.name, ": ", wrong));
}

bool WatchFollower::Take(const pb::WatchResponse& response) {
  if (response.canceled()) {
    if (response.compact_revision() != 0) {
      violations_.push_back(Cat(options_.name, ": compacted at ", response.compact_revision()));
      stop_ = true;
    }
    return false;
  }
  if (response.events().empty()) {
    if (response.created()) return true;
    ++progress_answers_;
    Note(order_.TakeProgress(response.header().revision()));
    return true;
  }
  Note(order_.TakeEvents(response));
  for (const auto& event : response.events()) {
    const auto& kv = event.kv();
    events_.push_back({.revision = kv.mod_revision(),
                       .key = kv.key(),
                       .is_delete = event.type() == mvccpb::Event::DELETE,
                       .value = kv.value(),
                       .create_revision = kv.create_revision(),
                       .version = kv.version()});
  }
  seen_ = events_.back().revision;
  return true;
}

}  // namespace jetd::conformance
