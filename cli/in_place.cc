// SPDX-License-Identifier: Apache-2.0
#include "cli/in_place.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <utility>

#include "base/strings.h"
#include "cli/change_writer.h"
#include "cli/figures.h"
#include "nlohmann/json.hpp"
#include "replication/state_difference.h"

namespace jetd::cli {
namespace {

using replication::BucketState;
using replication::Difference;
using replication::KeyChange;

// A transaction at a time takes half a millisecond where nobody else writes; many are under way.
constexpr double kChangesPerSecond = 4'000;

struct Plan {
  Revision now;  // of the live store
  Difference difference;
};

absl::Status CheckStore(const InPlaceOptions& options, const LiveStore& store) {
  if (options.from_another_store || options.cluster_id == store.cluster_id()) {
    return absl::OkStatus();
  }
  return MakeStatus(
      absl::StatusCode::kFailedPrecondition, store.endpoint(),
      " serves another store than the one that is read (cluster id ", store.cluster_id(), ", not ",
      options.cluster_id == 0 ? std::string("to be told of that mirror") : Cat(options.cluster_id),
      "): its keys would be replaced by those. Nothing was done; --from-another-store if that is "
      "meant");
}

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
  // Another of the endpoints may be the one that answers by now.
  if (const auto asked = store->CurrentRevision(); !asked.ok()) return asked.status();
  if (absl::Status same = CheckStore(options, *store); !same.ok()) return same;
  return Plan{now->revision, replication::DifferenceOf(wanted, *now, *options.selection)};
}

// The revisions that a command of ours restores.
std::string CommandFor(const InPlaceOptions& options, Revision revision) {
  return Cat(options.command, " --to-revision=", revision.value());
}
std::string GoOn(const InPlaceOptions& options) { return CommandFor(options, options.revision); }
// Empty: no restore can.
std::string Undo(const InPlaceOptions& options, const Plan& plan) {
  return options.from_another_store ? "" : CommandFor(options, plan.now);
}

nlohmann::json JsonOf(const InPlaceOptions& options, const LiveStore& store, const Plan& plan) {
  const Difference& difference = plan.difference;
  return {{"moment", options.moment},
          {"revision", options.revision.value()},
          {"endpoint", store.endpoint()},
          {"keys", options.selection->Text()},
          {"revision_before", plan.now.value()},
          {"add", difference.added},
          {"change", difference.changed},
          {"delete", difference.deleted},
          {"same", difference.same},
          {"bytes", difference.bytes},
          {"without_lease", difference.unleased},
          {"estimated_seconds", static_cast<double>(difference.changes.size()) / kChangesPerSecond},
          {"command", GoOn(options)},
          {"undo", Undo(options, plan)}};
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
  if (difference.changes.empty()) {
    return Cat(text, "nothing to do: ",
               difference.same > 0 ? "all is as it was" : "no such key was there, and none is now",
               "\n");
  }
  CatTo(text, "just this, now or after an interruption:\n  ", GoOn(options), "\n");
  return text;
}

std::string UndoText(const InPlaceOptions& options, const Plan& plan) {
  if (options.from_another_store) {
    return "it came from another store: no restore undoes it\n";
  }
  return Cat("to undo it, with all that others write to these keys behind revision ",
             plan.now.value(), ",\nas long as that can be read there or from a mirror:\n  ",
             Undo(options, plan), "\n");
}

absl::StatusOr<std::string> AskTerminal(Output* output, const std::string& question) {
  if (isatty(STDIN_FILENO) == 0) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition, question,
                      "; nothing was done. Give --yes to do it, --dry-run to look at it only");
  }
  output->Say("restore", Cat(question, ". Type yes to go on:"));
  std::string answer;
  std::getline(std::cin, answer);
  return answer;
}

absl::Status Confirm(Output* output, const InPlaceOptions& options, const LiveStore& store,
                     const Plan& plan) {
  if (options.yes && options.moves.empty()) return absl::OkStatus();
  const std::string question =
      Cat(Counted(plan.difference.changes.size(), "key"), " of ", store.endpoint(), " will change");
  if (options.yes) {
    return MakeStatus(
        absl::StatusCode::kFailedPrecondition, question, "; nothing was done: ", options.moves,
        " names another moment once this has begun. Give --to-revision=", options.revision.value(),
        " in its place");
  }
  const auto answer = options.ask ? options.ask(question) : AskTerminal(output, question);
  if (!answer.ok()) return answer.status();
  if (*answer == "yes") return absl::OkStatus();
  return absl::CancelledError("nothing was done");
}

bool SameChanges(const Difference& a, const Difference& b) {
  return std::equal(a.changes.begin(), a.changes.end(), b.changes.begin(), b.changes.end(),
                    [](const KeyChange& x, const KeyChange& y) {
                      return x.key == y.key && x.now == y.now && x.lease == y.lease &&
                             bool(x.wanted) == bool(y.wanted);
                    });
}

void TellPlan(Output* output, const InPlaceOptions& options, const LiveStore& store,
              const Plan& plan) {
  if (options.form == OutputForm::kTable) output->Print(TextOf(options, store, plan));
}

// A plan that was agreed to, and is true now.
absl::StatusOr<Plan> AgreedPlan(Output* output, LiveStore* store, const InPlaceOptions& options,
                                const BucketState& wanted) {
  auto plan = MakePlan(output, store, options, wanted);
  if (!plan.ok()) return plan;
  TellPlan(output, options, *store, *plan);
  while (!options.dry_run && !plan->difference.changes.empty()) {
    if (absl::Status yes = Confirm(output, options, *store, *plan); !yes.ok()) return yes;
    if (options.yes) break;
    auto now = MakePlan(output, store, options, wanted);
    if (!now.ok()) return now;
    const bool same = SameChanges(plan->difference, now->difference);
    plan = std::move(now);
    if (same) break;
    output->Say("restore", "others have changed keys meanwhile");
    TellPlan(output, options, *store, *plan);
  }
  return plan;
}

void Tell(Output* output, const InPlaceOptions& options, const ChangeTally& tally, const Plan& plan,
          double seconds, nlohmann::json json) {
  if (options.form == OutputForm::kJson) {
    json["written"] = tally.written;
    json["found_as_wanted"] = tally.found;
    json["looked_at_again"] = tally.again;
    json["without_lease"] = json["without_lease"].get<uint64_t>() + tally.unleased;
    json["revision_after"] = tally.newest.value();
    json["seconds"] = seconds;
    output->Print(Cat(json.dump(), "\n"));
    return;
  }
  if (plan.difference.changes.empty()) return;  // TextOf has said so
  std::string text = Cat("wrote ", Counted(tally.written, "key"), " in ", SecondsText(seconds));
  if (tally.newest > Revision{}) CatTo(text, ", up to revision ", tally.newest.value());
  if (tally.found > 0) CatTo(text, "; ", tally.found, " were as wanted by then");
  if (tally.again > 0) CatTo(text, "; others had changed keys meanwhile ", tally.again, " times");
  CatTo(text, "\n", UndoText(options, plan));
  output->Print(text);
}

double Since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

absl::Status Write(Output* output, LiveStore* store, const InPlaceOptions& options,
                   const Plan& plan, ChangeTally* tally) {
  // Said before anything is written: whoever kills this has to know.
  output->EndProgress();
  if (!options.from_another_store) {
    output->Say("restore", Cat("to undo what is written from here on: ", Undo(options, plan)));
  }
  const Pace pace("writing", "key");
  ChangeOptions writing;
  writing.cluster_id = store->cluster_id();
  writing.interrupted = output->interrupted();
  writing.progress = [&](const ChangeTally& done) {
    const std::string text = pace.Text(done.written + done.found, plan.difference.changes.size());
    output->Progress(done.trouble.empty() ? text : Cat(text, "; waiting: ", done.trouble));
  };
  const absl::Status written =
      WriteChanges(store->client(), plan.difference.changes, writing, tally);
  if (written.ok()) return written;
  const std::string undo = Undo(options, plan);
  return MakeStatus(
      written.code() == absl::StatusCode::kInvalidArgument ? absl::StatusCode::kFailedPrecondition
                                                           : written.code(),
      MessageOf(written), "; ", tally->written + tally->found, " of ",
      plan.difference.changes.size(), " keys are as wanted. To do the rest: ", GoOn(options),
      undo.empty() ? "" : "; to undo it: ", undo);
}

}  // namespace

absl::StatusOr<int> RestoreInPlace(Output* output, const InPlaceOptions& options,
                                   const BucketState& wanted) {
  const auto store = LiveStore::Connect(options.store);
  if (!store.ok()) return store.status();
  if (absl::Status same = CheckStore(options, **store); !same.ok()) return same;
  const auto plan = AgreedPlan(output, store->get(), options, wanted);
  if (!plan.ok()) return plan.status();
  const nlohmann::json json = JsonOf(options, **store, *plan);
  if (options.dry_run) {
    if (options.form == OutputForm::kJson) output->Print(Cat(json.dump(), "\n"));
    return kExitOk;
  }
  ChangeTally tally;
  const auto start = std::chrono::steady_clock::now();
  if (!plan->difference.changes.empty()) {
    const absl::Status written = Write(output, store->get(), options, *plan, &tally);
    if (!written.ok()) return written;
  }
  Tell(output, options, tally, *plan, Since(start), json);
  return kExitOk;
}

}  // namespace jetd::cli
