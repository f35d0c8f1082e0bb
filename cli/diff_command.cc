// SPDX-License-Identifier: Apache-2.0
#include "cli/diff_command.h"

#include <utility>

#include "base/strings.h"
#include "cli/diff_view.h"
#include "nlohmann/json.hpp"
#include "replication/state_diff.h"

namespace jetd::cli {
namespace {

using replication::State;

constexpr char kExamples[] =
    "By Kubernetes' kind, namespace and name where the key is one of a kube-apiserver. Of custom\n"
    "resources (JSON) it names the fields; of Kubernetes' protobuf size and hash; what Kubernetes\n"
    "encrypts at rest stays opaque.\n"
    "\n"
    "Examples:\n"
    "  jetctl diff --data-dir /var/lib/jetd --from 10m\n"
    "      what the last ten minutes did\n"
    "  jetctl diff --data-dir /var/lib/jetd --from 2026-11-20T15:00:00Z \\\n"
    "      --to 2026-11-20T15:10:00Z --prefix /registry/deployments/default/\n"
    "  jetctl diff --data-dir /var/lib/jetd --from 1200 --to 1300 --values --output json";

}  // namespace

void DiffCommand::AddFlags(CLI::App* app) {
  app->footer(kExamples);
  view_.AddTo(app);
  app->add_option("--from", from_, std::string("From when: ") + kPointHelp)->take_last();
  app->add_option("--to", to_, "To when, likewise [now]")->take_last();
  app->add_option("--prefix", prefix_, "Only keys that begin so")->take_last();
  app->add_flag("--values", values_,
                "Show the values of fields that changed, and in JSON whole values");
}

absl::StatusOr<int> DiffCommand::Run(Output* output) {
  if (from_.empty()) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "--from says from when: ", kPointHelp);
  }
  std::vector<replication::Point> points;
  for (const auto& [flag, text] : {std::pair("--from", &from_), std::pair("--to", &to_)}) {
    auto point = ReadPoint(flag, *text);
    if (!point.ok()) return point.status();
    points.push_back(*std::move(point));
  }
  const auto source = view_.Source(output);
  if (!source.ok()) return source.status();
  output->Progress("opening the store");
  const auto states = replication::ReadStates(*source, points,
                                              {.prefix = prefix_, .progress = ShowRecords(output)});
  if (!states.ok()) return states.status();
  const State& from = states->front();
  const State& to = states->back();
  const auto changes = replication::DiffStates(from, to);
  const DiffView view(changes, values_ ? DiffView::Values::kYes : DiffView::Values::kNo);
  WarnOfClock(name(), to.points, output);
  if (view_.json()) {
    output->Print(Cat("{\"from\":", Dump(ToJson(from)), ",\"to\":", Dump(ToJson(to)), ",",
                      view.ToJson(), "}\n"));
    return kExitOk;
  }
  output->Print(view.ToTable());
  output->Say(name(), Cat(ToText(from), " to ", ToText(to), ": ", view.Summary()));
  return kExitOk;
}

}  // namespace jetd::cli
