// SPDX-License-Identifier: Apache-2.0
#include "cli/fill_bucket.h"

#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "cli/figures.h"
#include "nlohmann/json.hpp"
#include "replication/bucket_target.h"

namespace jetd::cli {
namespace {

using replication::BucketState;

nlohmann::json JsonOf(const std::string& moment, const replication::RestoreReport& report) {
  return {{"moment", moment},
          {"target", report.target},
          {"keys", report.keys},
          {"leases", report.leases},
          {"bytes", report.bytes},
          {"hash", report.hash},
          {"revision", report.written.restore.bumped.value()},
          {"records", report.written.records},
          {"records_found", report.written.found},
          {"was_whole", report.written.was_whole},
          {"checked", report.checked},
          {"renumbered", report.mends.renumbered},
          {"detached", report.mends.detached},
          {"seconds", report.seconds}};
}

std::string TextOf(const std::string& moment, const replication::RestoreReport& report) {
  if (report.written.was_whole) {
    return Cat(report.target, " holds ", moment, " already, ", Counted(report.keys, "key"),
               ", hash ", report.hash, ": nothing was done\n");
  }
  std::string text = Cat("restored ", moment, "\ninto ", report.target, ":\n  ",
                         Counted(report.keys, "key"), ", ", Counted(report.leases, "lease"), ", ",
                         SizeText(report.bytes), " in ", SecondsText(report.seconds), "\n");
  if (report.written.found > 0) {
    CatTo(text, "  ", Counted(report.written.found, "record"), " were there from before\n");
  }
  CatTo(text, "  hash ", report.hash, ": the state's, of what was read back",
        report.checked ? ", and of jetctl check, which found no damage"
                       : "; a jetd writes to it already, so it was not checked",
        "\n  at revision ", report.written.restore.bumped.value(),
        ", all before it compacted: clients of the old store list anew\n");
  if (report.mends.detached > 0) {
    CatTo(text, "  ", Counted(report.mends.detached, "key"),
          " had a lease that was not there, and have none now\n");
  }
  return text;
}

// A dry run that says nothing of a place which the real one refuses would be of little use.
void TellWhatIsThere(Output* output, const replication::StreamSource& target) {
  const std::string place =
      target.data_dir.empty() ? Cat("bucket ", target.bucket) : target.data_dir;
  const auto found = replication::FoundAt(target);
  if (!found.ok()) {
    output->Say("", Cat(place, " could not be looked at: ", MessageOf(found.status())));
  } else if (!found->empty()) {
    output->Say("", Cat(place, " ", *found,
                        " already: it is filled only if that is a part of this, begun before"));
  }
}

// What filling it would be.
absl::StatusOr<int> DryRun(Output* output, OutputForm form, const std::string& moment,
                           const replication::RestoreOptions& options, BucketState state) {
  const auto mends = replication::Mend(&state);
  if (!mends.ok()) return mends.status();
  replication::RestoreReport report;
  report.keys = state.keys.size();
  report.leases = state.leases.size();
  report.bytes = state.bytes();
  report.hash = replication::HashOf(state);
  const auto restore = replication::NewRestore("", state.revision, state.newest, options.bump);
  if (!restore.ok()) return restore.status();
  const double seconds = replication::EstimateSeconds(state);
  TellWhatIsThere(output, options.target);
  if (form == OutputForm::kJson) {
    const nlohmann::json json = {{"moment", moment},
                                 {"keys", report.keys},
                                 {"leases", report.leases},
                                 {"bytes", report.bytes},
                                 {"hash", report.hash},
                                 {"revision", restore->bumped.value()},
                                 {"estimated_seconds", seconds}};
    output->Print(Cat(json.dump(), "\n"));
  } else {
    output->Print(Cat(moment, ":\n  ", Counted(report.keys, "key"), ", ",
                      Counted(report.leases, "lease"), ", ", SizeText(report.bytes), ", hash ",
                      report.hash, "\n  the new bucket would be at revision ",
                      restore->bumped.value(), ", after about ", SecondsText(seconds), "\n"));
  }
  return kExitOk;
}

}  // namespace

absl::StatusOr<int> FillBucket(Output* output, OutputForm form, bool dry_run,
                               const std::string& moment,
                               const replication::RestoreOptions& options, BucketState state) {
  if (dry_run) return DryRun(output, form, moment, options, std::move(state));
  replication::RestoreOptions logged = options;
  logged.progress = [&options, begun = false](const auto& done, uint64_t of) mutable {
    if (!std::exchange(begun, true)) LogWhatIsWaitedFor();
    if (options.progress) options.progress(done, of);
  };
  const auto report = replication::RestoreBucket(logged, std::move(state));
  if (!report.ok()) {
    // What is wrong with a state or a place is no mistake in the command line.
    if (!absl::IsInvalidArgument(report.status())) return report.status();
    return absl::FailedPreconditionError(std::string(report.status().message()));
  }
  TellFilled(output, form, moment, *report);
  return kExitOk;
}

void LogWhatIsWaitedFor() { log::Init({.level = log::Level::kWarn}); }

void TellFilled(Output* output, OutputForm form, const std::string& moment,
                const replication::RestoreReport& report,
                const std::map<std::string, int64_t>& more) {
  if (form == OutputForm::kTable) return output->Print(TextOf(moment, report));
  nlohmann::json json = JsonOf(moment, report);
  for (const auto& [name, number] : more) json[name] = number;
  output->Print(Cat(json.dump(), "\n"));
}

}  // namespace jetd::cli
