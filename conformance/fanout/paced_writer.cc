// SPDX-License-Identifier: Apache-2.0
#include "conformance/fanout/paced_writer.h"

#include <algorithm>
#include <thread>

#include "base/strings.h"
#include "conformance/fanout/subscriber.h"

namespace jetd::conformance {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
namespace pb = etcdclient::pb;

PacedWriter::PacedWriter(const Options& options, etcdclient::Client* client)
    : options_(options), client_(client), revisions_(static_cast<size_t>(options.groups)) {}

void PacedWriter::WriteFor(milliseconds time) {
  const auto start = steady_clock::now();
  const size_t before = sent_;
  const auto due_after = [&](std::chrono::duration<double> passed) {
    return before + static_cast<size_t>(passed.count() * options_.writes_per_second);
  };
  // Not fewer on a machine that stands still for a while: what a server holds hangs on them.
  const size_t all = due_after(time);
  while (sent_ < all) {
    const size_t due = std::min(all, due_after(steady_clock::now() - start));
    while (sent_ < due) Write();
    std::this_thread::sleep_for(milliseconds(1));
  }
  MutexLock lock(mutex_);
  while (in_flight_ > 0) answered_.Wait(mutex_);
}

void PacedWriter::Write() {
  {
    MutexLock lock(mutex_);
    while (in_flight_ >= options_.max_in_flight) answered_.Wait(mutex_);
    ++in_flight_;
  }
  const size_t group = sent_ % static_cast<size_t>(options_.groups);
  const size_t round = sent_ / static_cast<size_t>(options_.groups);
  ++sent_;
  pb::PutRequest request;
  request.set_key(Cat(GroupPrefix(static_cast<int>(group)), round % 4));
  request.set_value(StampedValue(options_.value_bytes));
  client_->CallAsync<pb::PutRequest>(
      request,
      [this, group](const absl::StatusOr<pb::PutResponse>& response) {
        MutexLock lock(mutex_);
        if (response.ok()) {
          ++written_;
          revisions_[group].push_back(response->header().revision());
        } else {
          errors_.push_back(std::string(MessageOf(response.status())));
        }
        --in_flight_;
        answered_.NotifyAll();
      },
      {.timeout = milliseconds(60'000)});
}

size_t PacedWriter::written() const {
  MutexLock lock(mutex_);
  return written_;
}

std::vector<std::vector<int64_t>> PacedWriter::Revisions() const {
  MutexLock lock(mutex_);
  std::vector<std::vector<int64_t>> revisions = revisions_;
  for (auto& group : revisions) std::sort(group.begin(), group.end());
  return revisions;
}

std::vector<std::string> PacedWriter::errors() const {
  MutexLock lock(mutex_);
  return errors_;
}

}  // namespace jetd::conformance
