// SPDX-License-Identifier: Apache-2.0
#include "cli/points_command.h"

#include <utility>

#include "base/strings.h"
#include "cli/table.h"
#include "jetstream/nats_place.h"
#include "jetstream/stream_setup.h"
#include "nlohmann/json.hpp"

namespace jetd::cli {
namespace {

using replication::Points;
using replication::TimeText;

constexpr char kExamples[] =
    "Ranges of revisions whose state is known in full, and from when to when they are what a time\n"
    "stands for. Above the compact revision that is all; below it records go by and by, but not\n"
    "from a mirror. Read from the stream alone.\n"
    "\n"
    "Examples:\n"
    "  jetctl points --data-dir /var/lib/jetd\n"
    "  jetctl points --nats-url nats://n1:4222 --bucket tenant --mirror hub/KV_tenant_mirror\n"
    "      the bucket, and its mirror in the JetStream domain hub";

constexpr char kOrigin[] = "origin";

std::string TimeOf(int64_t time_ns) { return time_ns == 0 ? "" : TimeText(time_ns); }

void AddRows(const std::string& place, const Points& points, Table* table) {
  auto gap = points.gaps.begin();
  const auto add_gap = [&] {
    table->Add(
        {place, Cat(gap->first.value()), Cat(gap->last.value()), "", "", Cat("no: ", gap->why)});
    ++gap;
  };
  for (const Points::Range& range : points.ranges) {
    while (gap != points.gaps.end() && gap->first < range.first) add_gap();
    table->Add({place, Cat(range.first.value()), Cat(range.last.value()), TimeOf(range.first_ns),
                TimeOf(range.last_ns), "yes"});
  }
  while (gap != points.gaps.end()) add_gap();
  if (!points.damage.ok()) {
    table->Add({place, Cat(points.current.Next().value()), "", "", "",
                Cat("no: ", MessageOf(points.damage))});
  } else if (points.undecided) {
    table->Add({place, Cat(points.current.Next().value()), Cat(points.current.Next().value()), "",
                "", "no: not decided, its transaction is not whole yet"});
  }
}

nlohmann::json ToJson(const Points& points) {
  nlohmann::json json = {{"current_revision", points.current.value()},
                         {"compact_revision", points.compacted.value()},
                         {"undecided", points.undecided},
                         {"clock_went_back", points.clock_went_back},
                         {"clock_went_back_ns", points.clock_went_back_ns},
                         {"ranges", nlohmann::json::array()},
                         {"gaps", nlohmann::json::array()}};
  if (points.damage.ok()) {
    json["last_sequence"] = points.last.value();
  } else {
    json["damage"] = std::string(MessageOf(points.damage));
  }
  if (points.last_ns != 0) json["last_time"] = TimeText(points.last_ns);
  for (const Points::Range& range : points.ranges) {
    nlohmann::json one = {{"first_revision", range.first.value()},
                          {"last_revision", range.last.value()}};
    if (range.first_ns != 0) one["first_time"] = TimeText(range.first_ns);
    if (range.last_ns != 0) one["last_time"] = TimeText(range.last_ns);
    json["ranges"].push_back(std::move(one));
  }
  for (const Points::Gap& gap : points.gaps) {
    json["gaps"].push_back({{"first_revision", gap.first.value()},
                            {"last_revision", gap.last.value()},
                            {"why", gap.why}});
  }
  return json;
}

}  // namespace

void PointsCommand::AddFlags(CLI::App* app) {
  app->footer(kExamples);
  view_.AddTo(app);
  app->add_option("--mirror", mirrors_,
                  "A mirror of the bucket too, as DOMAIN, DOMAIN/STREAM or /STREAM; may be given "
                  "several times")
      ->allow_extra_args(false);
}

absl::StatusOr<std::vector<PointsCommand::Place>> PointsCommand::Places(Output* output) const {
  auto source = view_.Source(output);
  if (!source.ok()) return source.status();
  std::vector<Place> places;
  const std::string& named = source->stream.empty() ? source->domain : source->stream;
  places.push_back({.name = named.empty() ? kOrigin : named, .source = *source});
  for (const std::string& text : mirrors_) {
    if (source->nats_urls.empty()) {
      return absl::InvalidArgumentError("--mirror is for a bucket of --nats-url");
    }
    Place place{.name = text, .source = *source};
    const size_t slash = text.find('/');
    place.source.domain = text.substr(0, slash);
    place.source.stream =
        slash == std::string::npos ? "KV_" + source->bucket : text.substr(slash + 1);
    place.source.api_prefix.clear();
    if (text.empty() || !jetstream::CheckDomain("", place.source.domain).ok() ||
        !jetstream::IsBucketName(place.source.stream)) {
      return MakeStatus(absl::StatusCode::kInvalidArgument, "--mirror: \"", text,
                        "\" is not DOMAIN, DOMAIN/STREAM or /STREAM");
    }
    places.push_back(std::move(place));
  }
  return places;
}

absl::StatusOr<int> PointsCommand::Run(Output* output) {
  const auto places = Places(output);
  if (!places.ok()) return places.status();
  Table table({"SOURCE", "FROM", "TO", "FROM TIME", "TO TIME", "RESTORABLE"});
  nlohmann::json json = {{"sources", nlohmann::json::array()}};
  size_t failed = 0;
  for (const Place& place : *places) {
    output->Progress(Cat("opening ", place.name));
    const auto points = replication::ReadPoints(place.source, {.progress = ShowRecords(output)});
    if (!points.ok()) {
      output->Fail(name(), Cat(place.name, ": ", MessageOf(points.status())));
      ++failed;
      continue;
    }
    AddRows(place.name, *points, &table);
    nlohmann::json one = ToJson(*points);
    one["source"] = place.name;
    json["sources"].push_back(std::move(one));
    WarnOfClock(name(), *points, output);
  }
  // Where nothing could be read there is nothing to show.
  if (failed < places->size()) {
    view_.json() ? output->Print(Dump(json) + "\n") : output->Print(table);
  }
  return failed == 0 ? kExitOk : kExitFailed;
}

}  // namespace jetd::cli
