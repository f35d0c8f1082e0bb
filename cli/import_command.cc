// SPDX-License-Identifier: Apache-2.0
#include "cli/import_command.h"

#include <filesystem>
#include <utility>

#include "base/strings.h"
#include "cli/fill_bucket.h"
#include "replication/snapshot_file.h"

namespace jetd::cli {
namespace {

constexpr char kExamples[] =
    "Fills a new bucket with another store: the newest version of each key, with its create and "
    "mod\n"
    "revision, version and lease, and the leases. Its current revision lies --bump above the old\n"
    "store's, and all before it is compacted: clients of the old store list anew, and see no "
    "revision\n"
    "go back. Users and roles are not taken. Until it is whole and was read back, no jetd serves "
    "the\n"
    "bucket; cut short, the same command goes on.\n"
    "\n"
    "Examples:\n"
    "  jetctl import --from-snapshot backup.db --to-data-dir /var/lib/jetd\n"
    "  jetctl import --from-snapshot backup.db --to-nats-url nats://n1:4222 --to-bucket tenant";

template <typename... Pieces>
absl::Status Invalid(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, pieces...);
}

}  // namespace

void ImportCommand::AddFlags(CLI::App* app) {
  app->footer(kExamples);
  const auto add = [app](const std::string& group, const char* name, std::string* value,
                         const char* help) {
    app->add_option(name, *value, help)->take_last()->group(group);
  };
  const std::string from = "The old store";
  add(from, "--from-snapshot", &snapshot_, "Snapshot file of an etcd or a jetd");
  app->add_flag("--skip-hash-check", skip_hash_check_,
                "The file is a copy of a database (member/snap/db), which has no sum at its end")
      ->group(from);
  target_.AddTo(app);
  app->add_option(
         "--bump", bump_,
         Cat("Revisions between the old store and the new [", replication::kDefaultBump, "]"))
      ->take_last()
      ->group("The new bucket");
  app->add_flag("--dry-run", dry_run_, "Say what would be done, and do nothing");
  app->add_option("--output", output_, "table or json [table]")->take_last();
}

absl::StatusOr<int> ImportCommand::Run(Output* output) {
  const auto form = ParseOutputForm(output_);
  if (!form.ok()) return form.status();
  if (snapshot_.empty()) return Invalid("from where? Give --from-snapshot");
  if (bump_ < 1) return Invalid("--bump must be at least 1");
  const auto target = target_.Read(nullptr);
  if (!target.ok()) return target.status();
  replication::RestoreOptions options;
  options.target = *target;
  options.replicas = target_.replicas();
  options.bump = bump_;
  options.interrupted = output->interrupted();
  const Pace pace("writing", "record");
  options.progress = [&](const replication::BucketWriter::Progress& done, uint64_t of) {
    output->Progress(pace.Text(done.records, of));
  };
  return FromSnapshot(output, *form, options);
}

absl::StatusOr<int> ImportCommand::FromSnapshot(Output* output, OutputForm form,
                                                const replication::RestoreOptions& given) const {
  output->Progress("reading the snapshot");
  auto contents =
      replication::ReadSnapshot(snapshot_, skip_hash_check_ ? replication::SnapshotSum::kSkipped
                                                            : replication::SnapshotSum::kRequired);
  if (!contents.ok()) {
    // The file is wrong, not the command line.
    return absl::FailedPreconditionError(std::string(contents.status().message()));
  }
  if (contents->has_users) {
    output->Say(name(),
                "the snapshot has users and roles, which jetd does not know: they are left "
                "out, and whoever may connect may do everything");
  }
  replication::RestoreOptions options = given;
  options.source = Cat("snapshot ", std::filesystem::path(snapshot_).filename().string());
  const std::string moment =
      Cat("revision ", contents->state.revision.value(), " of ", options.source, " (",
          Counted(contents->versions, "version"), " in it, the newest of each key taken)");
  return FillBucket(output, form, dry_run_, moment, options, std::move(contents->state));
}

}  // namespace jetd::cli
