// SPDX-License-Identifier: Apache-2.0
#include "conformance/crash/watch_follower.h"

#include <memory>
#include <utility>

#include "base/check.h"
#include "base/strings.h"
#include "conformance/range_end.h"
#include "conformance/watch_reader.h"

namespace jetd::conformance {
namespace {

namespace pb = etcdclient::pb;

}  // namespace

WatchFollower::WatchFollower(Options options)
    : options_(std::move(options)),
      seen_(options_.start_revision - 1),
      order_(options_.start_revision),
      thread_([this] { Run(); }) {}

WatchFollower::~WatchFollower() { Stop(); }

void WatchFollower::Stop() {
  StopSoon();
  if (thread_.joinable()) thread_.join();
}

void WatchFollower::Run() {
  const auto client = etcdclient::Client::Connect({.endpoint = options_.endpoint});
  JETD_CHECK(client.ok()) << client.status();
  while (!stop_) {
    const auto stream = (*client)->OpenWatch();
    order_.Reopen();
    ++streams_;
    pb::WatchRequest request;
    pb::WatchCreateRequest& create = *request.mutable_create_request();
    create.set_key(options_.prefix);
    create.set_range_end(PrefixEnd(options_.prefix));
    create.set_start_revision(seen_ + 1);
    stream->Send(std::move(request));
    ReadWatch(*stream, stop_, options_.reopen_after,
              [this](const pb::WatchResponse& response) { return Take(response); });
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
    if (response.created()) {
      order_.TakeCreated();
      return true;
    }
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
  if (options_.end_revision == 0 || seen_ < options_.end_revision) return true;
  stop_ = true;
  return false;
}

}  // namespace jetd::conformance
