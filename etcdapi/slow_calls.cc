// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/slow_calls.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "revision/committer.h"

namespace jetd::etcdapi {
namespace {

constexpr std::chrono::seconds kPause{1};

int64_t Milliseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
}

struct Cause {
  std::chrono::nanoseconds took;
  const char* text;
};

}  // namespace

SlowCalls::SlowCalls(Executor* executor, std::chrono::nanoseconds threshold,
                     std::function<Waits()> waits, std::function<void(const std::string&)> say)
    : executor_(executor),
      threshold_(threshold),
      waits_(std::move(waits)),
      say_(say ? std::move(say) : [](const std::string& line) { log::Warn("{}", line); }) {}

std::string SlowCalls::Describe(const Call& call, std::chrono::nanoseconds took) const {
  const Waits waits = waits_();
  // What ended before the call began was not waited for.
  const auto of = [&](const Wait& wait) {
    return wait.ended < call.started ? std::chrono::nanoseconds(0) : std::min(wait.took, took);
  };
  const bool reconnected = waits.connected >= call.started;
  const Cause causes[] = {
      {call.forwarded ? took : std::chrono::nanoseconds(0), "for the member that leads"},
      {reconnected ? waits.connected - call.started : std::chrono::nanoseconds(0),
       "for the connection to NATS"},
      {of(waits.sync), "for the disk to sync"},
      {of(waits.ack), "for NATS to take the record"},
      {of(waits.room), "for NATS to say how much room there is"},
      {of(waits.barrier), "for NATS to say that nobody else has written (a read's barrier)"},
      {call.behind, "for the engine, which was at work on something else"},
  };
  const Cause& cause =
      *std::max_element(std::begin(causes), std::end(causes),
                        [](const Cause& a, const Cause& b) { return a.took < b.took; });
  std::string text = Cat(call.method->service()->full_name(), "/", call.method->name(), " took ",
                         Milliseconds(took), " ms");
  // Less would not explain it.
  if (cause.took >= took / 4) {
    CatTo(text, ", of which ", Milliseconds(cause.took), " ms ", cause.text);
  } else {
    CatTo(text, ", for its turn among others or for its own work");
  }
  CatTo(text, " (", call.request_bytes, " bytes in, ", call.answer_bytes, " out)");
  return text;
}

void SlowCalls::Tell(const Call& call) {
  const std::chrono::nanoseconds took = now_ - call.started + call.behind;
  if (quiet_) {
    ++left_out_;
    if (took <= longest_) return;
    longest_ = took;
    longest_text_ = Describe(call, took);
    return;
  }
  say_(Cat("slow request: ", Describe(call, took)));
  quiet_ = true;
  executor_->RunAfter(kPause, [this] { TellRest(); });
}

void SlowCalls::TellRest() {
  quiet_ = false;
  if (left_out_ == 0) return;
  say_(Cat("slow requests: ", left_out_, " more, the slowest: ", longest_text_));
  left_out_ = 0;
  longest_ = std::chrono::nanoseconds(0);
  longest_text_.clear();
  quiet_ = true;
  executor_->RunAfter(kPause, [this] { TellRest(); });
}

SlowCalls::Waits WaitsOf(const revision::Committer& committer) {
  const revision::Committer::Timings timings = committer.timings();
  const auto& acked = timings.last_acked;
  const auto& durable = timings.last_durable;
  SlowCalls::Waits waits;
  waits.ack = {acked.took, acked.at};
  // From the ack to the commit. A newer ack says nothing of it.
  if (durable.at >= acked.at) waits.sync = {durable.took - acked.took, durable.at};
  waits.barrier = {timings.last_barrier.took, timings.last_barrier.at};
  waits.room = {timings.last_room.took, timings.last_room.at};
  waits.connected = timings.connected;
  return waits;
}

}  // namespace jetd::etcdapi
