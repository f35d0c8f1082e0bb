// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/slow_calls.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/log.h"
#include "base/log_fields.h"
#include "base/strings.h"
#include "revision/committer.h"

namespace jetd::etcdapi {
namespace {

constexpr std::chrono::seconds kPause{1};

int64_t Milliseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
}

struct Cause {
  std::chrono::nanoseconds waited;
  const char* name;
  const char* text;
};

void Log(const SlowCalls::Report& report) {
  log::Warn("{}{}{}{}{}{}{}{}{}", report.text, log::Also("method", report.method),
            log::Also("took_ms", Milliseconds(report.took)), log::Also("cause", report.cause),
            log::Also("cause_ms", Milliseconds(report.waited)),
            log::Also("request_bytes", report.request_bytes),
            log::Also("answer_bytes", report.answer_bytes), log::Also("left_out", report.left_out),
            log::Event("slow_request"));
}

}  // namespace

SlowCalls::SlowCalls(Executor* executor, std::chrono::nanoseconds threshold,
                     std::function<Waits()> waits, std::function<void(const Report&)> say)
    : executor_(executor),
      threshold_(threshold),
      waits_(std::move(waits)),
      say_(say ? std::move(say) : &Log) {}

SlowCalls::Report SlowCalls::Describe(const Call& call, std::chrono::nanoseconds took) const {
  const Waits waits = waits_();
  // What ended before the call began was not waited for.
  const auto of = [&](const Wait& wait) {
    return wait.ended < call.started ? std::chrono::nanoseconds(0) : std::min(wait.took, took);
  };
  const bool reconnected = waits.connected >= call.started;
  const Cause causes[] = {
      {call.forwarded ? took : std::chrono::nanoseconds(0), "leader", "for the member that leads"},
      {reconnected ? waits.connected - call.started : std::chrono::nanoseconds(0), "connection",
       "for the connection to NATS"},
      {of(waits.sync), "sync", "for the disk to sync"},
      {of(waits.ack), "ack", "for NATS to take the record"},
      {of(waits.room), "room", "for NATS to say how much room there is"},
      {of(waits.barrier), "barrier",
       "for NATS to say that nobody else has written (a read's barrier)"},
      {call.behind, "engine", "for the engine, which was at work on something else"},
  };
  const Cause& cause =
      *std::max_element(std::begin(causes), std::end(causes),
                        [](const Cause& a, const Cause& b) { return a.waited < b.waited; });
  Report report{.method = Cat(call.method->service()->full_name(), "/", call.method->name()),
                .took = took,
                .cause = "work",
                .request_bytes = call.request_bytes,
                .answer_bytes = call.answer_bytes};
  report.text = Cat(report.method, " took ", Milliseconds(took), " ms");
  // Less would not explain it.
  if (cause.waited >= took / 4) {
    report.cause = cause.name;
    report.waited = cause.waited;
    CatTo(report.text, ", of which ", Milliseconds(cause.waited), " ms ", cause.text);
  } else {
    CatTo(report.text, ", for its turn among others or for its own work");
  }
  CatTo(report.text, " (", call.request_bytes, " bytes in, ", call.answer_bytes, " out)");
  return report;
}

void SlowCalls::Tell(const Call& call) {
  const std::chrono::nanoseconds took = now_ - call.started + call.behind;
  if (quiet_) {
    ++left_out_;
    if (took > longest_.took) longest_ = Describe(call, took);
    return;
  }
  Report report = Describe(call, took);
  report.text = Cat("slow request: ", report.text);
  say_(report);
  quiet_ = true;
  executor_->RunAfter(kPause, [this] { TellRest(); });
}

void SlowCalls::TellRest() {
  quiet_ = false;
  if (left_out_ == 0) return;
  Report report = std::exchange(longest_, {});
  report.left_out = std::exchange(left_out_, 0);
  report.text = Cat("slow requests: ", report.left_out, " more, the slowest: ", report.text);
  say_(report);
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
