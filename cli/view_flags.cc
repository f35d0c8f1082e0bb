// SPDX-License-Identifier: Apache-2.0
#include "cli/view_flags.h"

#include <chrono>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/strings.h"
#include "nlohmann/json.hpp"

namespace jetd::cli {

using replication::State;
using replication::TimeText;

void ViewFlags::AddTo(CLI::App* app) {
  source_.AddTo(app);
  output_.AddTo(app);
}

absl::StatusOr<replication::StreamSource> ViewFlags::Source(Output* output) const {
  if (const auto form = output_.Read(); !form.ok()) return form.status();
  auto source = source_.Read();
  if (!source.ok()) return source.status();
  source->patience = std::chrono::seconds(0);  // as long as it takes
  source->interrupted = output->interrupted();
  return source;
}

absl::StatusOr<replication::Point> ReadPoint(std::string_view flag, const std::string& text) {
  auto point = replication::ParsePoint(text, absl::GetCurrentTimeNanos());
  if (point.ok()) return point;
  return MakeStatus(absl::StatusCode::kInvalidArgument, flag, ": ", MessageOf(point.status()));
}

std::function<void(uint64_t)> ShowRecords(Output* output) {
  return [output](uint64_t records) { output->Progress(Cat("read ", records, " records")); };
}

std::string Dump(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string ToText(const State& state) {
  std::string text = Cat("revision ", state.revision.value());
  if (state.time_ns != 0) CatTo(text, " (", TimeText(state.time_ns), ")");
  return text;
}

nlohmann::json ToJson(const State& state) {
  nlohmann::json json = {{"revision", state.revision.value()},
                         {"sequence", state.last.value()},
                         {"current_revision", state.points.current.value()},
                         {"compact_revision", state.points.compacted.value()},
                         {"clock_went_back", state.points.clock_went_back},
                         {"all_leases", state.all_leases}};
  if (state.time_ns != 0) json["time"] = TimeText(state.time_ns);
  return json;
}

void WarnOfClock(const std::string& command, const replication::Points& points, Output* output) {
  if (points.clock_went_back == 0) return;
  const absl::Duration most = absl::Nanoseconds(points.clock_went_back_ns);
  output->Say(command, Cat("the clock of the stream went back ", points.clock_went_back,
                           " times, by ", absl::FormatDuration(most),
                           " at most: a time stands for what is in front of the first change that "
                           "is stamped later; to be sure, name a revision"));
}

}  // namespace jetd::cli
