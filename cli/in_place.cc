// SPDX-License-Identifier: Apache-2.0
#include "cli/in_place.h"

#include <unistd.h>

#include <chrono>
#include <iostream>
#include <utility>

#include "base/strings.h"
#include "cli/change_writer.h"
#include "nlohmann/json.hpp"
#include "replication/state_difference.h"

namespace jetd::cli {
namespace {

using replication::BucketState;
using replication::Difference;

// A transaction at a time takes half a millisecond where nobody else writes; many are under way.
constexpr double kChangesPerSecond = 4'000;

struct Plan {
  Revision now;  // of the live store
  Difference difference;
};

absl::StatusOr<Plan> MakePlan(Output* output, LiveStore* store, const InPlaceOptions& options,
                              const BucketState& wanted) {
  const Pace pace("reading the live store", "key");
  LiveStore::ReadOptions read;
  read.ranges = options.selection->Ranges();
  read.interrupted = output->interrupted();
  read.progress = [&](uint64_t keys, uint64_t /*bytes*/) { output->Progress(pace.Text(keys, 0)); };
  auto now = store->ReadKeys(read);
  if (!now.ok()) return now.status();
  auto leases = store->ReadLeases(now->keys);
  if (!leases.ok()) return leases.status();
  now->leases = *std::move(leases);
  return Plan{now->revision, replication::DifferenceOf(wanted, *now, *options.selection)};
}

nlohmann::json JsonOf(const InPlaceOptions& options, const LiveStore& store, const Plan& plan) {
  const Difference& difference = plan.difference;
  return {
      {"moment", options.moment},
      {"endpoint", store.endpoint()},
      {"keys", options.selection->Text()},
      {"revision_before", plan.now.value()},
      {"add", difference.added},
      {"change", difference.changed},
      {"delete", difference.deleted},
      {"same", difference.same},
      {"bytes", difference.bytes},
      {"without_lease", difference.unleased},
      {"estimated_seconds", static_cast<double>(difference.changes.size()) / kChangesPerSecond}};
}

std::string TextOf(const InPlaceOptions& options, const LiveStore& store, const Plan& plan) {
  const Difference& difference = plan.difference;
  std::string text =
      Cat("to make ", options.selection->Text(), " at ", store.endpoint(), ", revision ",
          plan.now.value(), ",\nwhat they were at ", options.moment, ":\n  ", difference.added,
          " to add, ", difference.changed, " to change, ", difference.deleted, " to delete, ",
          difference.same, " the same\n  ", SizeText(difference.bytes), ", about ",
          SecondsText(static_cast<double>(difference.changes.size()) / kChangesPerSecond), "\n");
  if (difference.unleased > 0) {
    CatTo(text, "  ", Counted(difference.unleased, "key"),
          " without the lease that they had: it is gone, and is not attached again\n");
  }
  return text;
}

absl::Status Confirm(Output* output, const InPlaceOptions& options, const LiveStore& store,
                     const Plan& plan) {
  if (options.yes) return absl::OkStatus();
  const std::string question =
      Cat(Counted(plan.difference.changes.size(), "key"), " of ", store.endpoint(), " will change");
  if (isatty(STDIN_FILENO) == 0) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition, question,
                      "; nothing was done. Give --yes to do it, --dry-run to look at it only");
  }
  output->Say("restore", Cat(question, ". Type yes to go on:"));
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "yes") return absl::OkStatus();
  return absl::CancelledError("nothing was done");
}

void Tell(Output* output, const InPlaceOptions& options, const ChangeTally& tally,
          const std::string& undo, double seconds, nlohmann::json json) {
  if (options.form == OutputForm::kJson) {
    json["written"] = tally.written;
    json["found_as_wanted"] = tally.found;
    json["looked_at_again"] = tally.again;
    json["without_lease"] = json["without_lease"].get<uint64_t>() + tally.unleased;
    json["revision_after"] = tally.newest.value();
    json["seconds"] = seconds;
    json["undo"] = undo;
    output->Print(Cat(json.dump(), "\n"));
    return;
  }
  std::string text = Cat("wrote ", Counted(tally.written, "key"), " in ", SecondsText(seconds));
  if (tally.newest > Revision{}) CatTo(text, ", up to revision ", tally.newest.value());
  if (tally.found > 0) CatTo(text, "; ", tally.found, " were as wanted by then");
  if (tally.again > 0) CatTo(text, "; others had changed keys meanwhile ", tally.again, " times");
  CatTo(text, "\nto undo it, as long as that revision can be read there or from a mirror:\n  ",
        undo, "\n");
  output->Print(text);
}

double Since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

absl::StatusOr<int> RestoreInPlace(Output* output, const InPlaceOptions& options,
                                   const BucketState& wanted) {
  const auto store = LiveStore::Connect(options.store);
  if (!store.ok()) return store.status();
  const auto plan = MakePlan(output, store->get(), options, wanted);
  if (!plan.ok()) return plan.status();
  const bool json = options.form == OutputForm::kJson;
  if (!json) output->Print(TextOf(options, **store, *plan));
  const std::string undo = Cat(options.undo, " --to-revision=", plan->now.value());
  if (options.dry_run) {
    if (json) output->Print(Cat(JsonOf(options, **store, *plan).dump(), "\n"));
    return kExitOk;
  }
  ChangeTally tally;
  double seconds = 0;
  if (!plan->difference.changes.empty()) {
    if (absl::Status yes = Confirm(output, options, **store, *plan); !yes.ok()) return yes;
    const auto start = std::chrono::steady_clock::now();
    const Pace pace("writing", "key");
    ChangeOptions writing;
    writing.interrupted = output->interrupted();
    writing.progress = [&](const ChangeTally& done) {
      output->Progress(pace.Text(done.written + done.found, plan->difference.changes.size()));
    };
    const absl::Status written =
        WriteChanges((*store)->client(), plan->difference.changes, writing, &tally);
    if (!written.ok()) {
      return MakeStatus(written.code() == absl::StatusCode::kInvalidArgument
                            ? absl::StatusCode::kFailedPrecondition
                            : written.code(),
                        MessageOf(written), "; ", tally.written + tally.found, " of ",
                        plan->difference.changes.size(),
                        " keys are as wanted. The same command does the rest; to undo it: ", undo);
    }
    seconds = Since(start);
  }
  Tell(output, options, tally, undo, seconds, JsonOf(options, **store, *plan));
  return kExitOk;
}

}  // namespace jetd::cli
