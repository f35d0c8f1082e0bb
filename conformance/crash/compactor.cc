// SPDX-License-Identifier: Apache-2.0
#include "conformance/crash/compactor.h"

#include <chrono>
#include <utility>

#include "base/strings.h"

namespace jetd::conformance {
namespace {

using std::chrono::milliseconds;
namespace pb = etcdclient::pb;

}  // namespace

Compactor::Compactor(uint64_t seed, etcdclient::Client* client, std::function<int64_t()> safe)
    : client_(client), safe_(std::move(safe)), random_(seed), thread_([this] { Run(); }) {}

Compactor::~Compactor() { Stop(); }

void Compactor::Stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void Compactor::Run() {
  while (!stop_) {
    // Its pace; nothing waits for it.
    std::this_thread::sleep_for(milliseconds(20 + random_() % 150));
    const int64_t revision = safe_() - static_cast<int64_t>(random_() % 100);
    if (revision > asked_) CompactTo(revision);
  }
}

void Compactor::CompactTo(int64_t revision) {
  asked_ = revision;
  pb::CompactionRequest request;
  request.set_revision(revision);
  request.set_physical(random_() % 3 == 0);
  const absl::Status status =
      client_
          ->Call(request, {.timeout = milliseconds(60'000),
                           .unreachable = etcdclient::CallOptions::Unreachable::kWait})
          .status();
  if (status.ok()) {
    answered_ = revision;
    ++count_;
  } else if (status.code() == absl::StatusCode::kOutOfRange) {
    // Neither compacted already, since it grows, nor in the future, since all watchers have it.
    violations_.push_back(
        Cat("compacting ", revision, " after ", answered_, " was refused: ", MessageOf(status)));
  }
}

}  // namespace jetd::conformance
