// SPDX-License-Identifier: Apache-2.0
#include "cli/history_command.h"

#include <utility>

#include "base/strings.h"
#include "cli/table.h"
#include "nlohmann/json.hpp"
#include "replication/change_finder.h"

namespace jetd::cli {
namespace {

using replication::KeyHistories;
using replication::KeyVersion;
using replication::Point;
using replication::TimeText;

constexpr char kExamples[] =
    "One line a version, oldest first: when, by which revision, how large. GONE counts the "
    "records\n"
    "of the key right before it that were removed after a compaction, at least so many.\n"
    "\n"
    "Examples:\n"
    "  jetctl history --data-dir /var/lib/jetd /registry/configmaps/default/settings --values\n"
    "  jetctl history --data-dir /var/lib/jetd --prefix /registry/pods/default/ --from 1h\n"
    "      whatever happened to pods of one namespace in the last hour\n"
    "  jetctl history --data-dir /var/lib/jetd /a --from 1200 --to 1300 --output json";

absl::StatusOr<Point> BoundOf(std::string_view flag, const std::string& text) {
  if (text.empty()) return Point{};
  auto point = ReadPoint(flag, text);
  if (point.ok() && replication::ChangeFinder::Finds(*point)) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, flag, " takes a revision or a time");
  }
  return point;
}

}  // namespace

void HistoryCommand::AddFlags(CLI::App* app) {
  app->footer(kExamples);
  view_.AddTo(app);
  app->add_option("KEY", key_, "This key");
  prefix_option_ =
      app->add_option("--prefix", prefix_, "All keys that begin so; --prefix= is all of them")
          ->take_last();
  app->add_option("--from", from_, "From this revision or time on, itself included")->take_last();
  app->add_option("--to", to_, "Up to this revision or time, itself included")->take_last();
  app->add_flag("--values", values_, "Show values, not only their size");
}

absl::StatusOr<replication::HistoryOptions> HistoryCommand::Options() const {
  if (key_.empty() == (prefix_option_->count() == 0)) {
    return absl::InvalidArgumentError("name one key, or a --prefix (--prefix= for all keys)");
  }
  auto from = BoundOf("--from", from_);
  if (!from.ok()) return from.status();
  auto to = BoundOf("--to", to_);
  if (!to.ok()) return to.status();
  if (from->kind == Point::Kind::kRevision && to->kind == Point::Kind::kRevision &&
      from->revision > to->revision) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "--from ", from->revision.value(),
                      " lies behind --to ", to->revision.value());
  }
  replication::HistoryOptions options;
  options.key = key_;
  options.prefix = prefix_;
  options.values = values_;
  options.from = *std::move(from);
  options.to = *std::move(to);
  return options;
}

void HistoryCommand::PrintTable(const KeyHistories& histories, Output* output) const {
  std::vector<std::string> header = {"REVISION", "TIME",  "OP",    "VERSION",
                                     "CREATED",  "LEASE", "BYTES", "GONE"};
  if (key_.empty()) header.emplace_back("KEY");
  if (values_) header.emplace_back("VALUE");
  Table table(header);
  for (const KeyVersion& version : histories.versions) {
    const bool deleted = version.version == 0;
    std::vector<std::string> row = {Cat(version.revision.value()),
                                    TimeText(version.time_ns),
                                    deleted ? "delete" : "put",
                                    deleted ? "" : Cat(version.version),
                                    deleted ? "" : Cat(version.create_revision.value()),
                                    version.lease == LeaseId{} ? "" : Cat(version.lease.value()),
                                    deleted ? "" : Cat(version.value_bytes),
                                    version.missing == 0 ? "" : Cat(version.missing)};
    if (key_.empty()) row.push_back(Printable(version.key));
    if (values_) row.push_back(Printable(version.value));
    table.Add(std::move(row));
  }
  output->Print(table);
}

void HistoryCommand::PrintJson(const KeyHistories& histories, Output* output) const {
  output->Print(Cat("{\"current_revision\":", histories.current.value(),
                    ",\"compact_revision\":", histories.compacted.value(), ",\"versions\":["));
  bool first = true;
  for (const KeyVersion& version : histories.versions) {
    const bool deleted = version.version == 0;
    nlohmann::json json = {
        {"key", Base64(version.key)},           {"name", version.key},
        {"revision", version.revision.value()}, {"time", TimeText(version.time_ns)},
        {"op", deleted ? "delete" : "put"},     {"gone_before", version.missing}};
    if (!deleted) {
      json["version"] = version.version;
      json["create_revision"] = version.create_revision.value();
      json["value_bytes"] = version.value_bytes;
      if (version.lease != LeaseId{}) json["lease"] = version.lease.value();
      if (values_) json["value"] = Base64(version.value);
    }
    output->Print(Cat(std::exchange(first, false) ? "" : ",", "\n", Dump(json)));
  }
  output->Print(Cat("],\"count\":", histories.versions.size(), "}\n"));
}

absl::StatusOr<int> HistoryCommand::Run(Output* output) {
  auto options = Options();
  if (!options.ok()) return options.status();
  const auto source = view_.Source(output);
  if (!source.ok()) return source.status();
  options->progress = ShowRecords(output);
  output->Progress("opening the store");
  const auto histories = replication::ReadHistory(*source, *options);
  if (!histories.ok()) return histories.status();
  if (view_.json()) {
    PrintJson(*histories, output);
  } else {
    PrintTable(*histories, output);
  }
  if (histories->damage.ok()) return kExitOk;
  return MakeStatus(absl::StatusCode::kDataLoss, "this is not all: ", MessageOf(histories->damage));
}

}  // namespace jetd::cli
