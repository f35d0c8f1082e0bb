// SPDX-License-Identifier: Apache-2.0
#include "cli/import_command.h"

#include <chrono>
#include <filesystem>
#include <utility>

#include "absl/time/time.h"
#include "base/pem_files.h"
#include "base/strings.h"
#include "cli/figures.h"
#include "cli/fill_bucket.h"
#include "cli/flags.h"
#include "cli/live_import.h"
#include "replication/snapshot_file.h"

namespace jetd::cli {
namespace {

constexpr char kExamples[] =
    "Fills a new bucket with another store: the newest version of each key, with its create and\n"
    "mod revision, version and lease, and the leases. Its current revision lies --bump above the\n"
    "old store's, and all before it is compacted: clients of the old store list anew, and see no\n"
    "revision go back. Users and roles are not taken. Until it is whole and was read back, no "
    "jetd\n"
    "serves the bucket; cut short, the same command does it.\n"
    "\n"
    "From --from-endpoints all keys are read at one revision. With --follow what changes after it\n"
    "is taken too, until the cut-over: at the first ^C (SIGINT or SIGTERM), or as --until-idle or\n"
    "--until-revision says. Stop the writers of the old store first. Then the old store is read\n"
    "once more, and compared with what was written, key by key.\n"
    "\n"
    "Examples:\n"
    "  jetctl import --from-snapshot backup.db --to-data-dir /var/lib/jetd\n"
    "  jetctl import --from-snapshot backup.db --to-nats-url nats://n1:4222 --to-bucket tenant\n"
    "  jetctl import --from-endpoints https://10.0.0.1:2379 --from-cacert ca.crt --from-cert "
    "c.crt\\\n"
    "                --from-key c.key --follow --until-idle 10s --to-data-dir /var/lib/jetd";

}  // namespace

void ImportCommand::AddFlags(CLI::App* app) {
  app->footer(kExamples);
  const std::string from = "The old store";
  AddText(app, from, "--from-snapshot", &snapshot_, "Snapshot file of an etcd or a jetd");
  app->add_flag("--skip-hash-check", skip_hash_check_,
                "The file is a copy of a database (member/snap/db), which has no sum at its end")
      ->group(from);
  AddText(app, from, "--from-endpoints", &endpoints_,
          "Client URLs of an etcd or kine that runs, comma-separated");
  AddText(app, from, "--from-cacert", &ca_file_, "CA of its certificate, PEM [the system's]");
  AddText(app, from, "--from-cert", &cert_file_, "Client certificate for it, PEM");
  AddText(app, from, "--from-key", &key_file_, "Its key, PEM");
  AddText(app, from, "--from-user", &user_, "A user of it who may read: NAME, or NAME:PASSWORD");
  AddText(app, from, "--from-password-file", &password_file_,
          "File with the password of --from-user");
  AddText(app, from, "--from-prefix", &prefix_, "Only keys that begin so [all]");
  app->add_flag("--follow", follow_, "Go on with what changes, until the cut-over")->group(from);
  AddText(app, from, "--until-idle", &until_idle_,
          "With --follow: cut over when nothing has changed for so long (10s)");
  AddNumber(app, from, "--until-revision", &until_revision_,
            "With --follow: cut over at this revision of the old store", int64_t{1});
  target_.AddTo(app);
  app->add_flag("--dry-run", dry_run_, "Say what would be done, and do nothing");
  output_.AddTo(app);
}

absl::StatusOr<int> ImportCommand::Run(Output* output) {
  const auto form = output_.Read();
  if (!form.ok()) return form.status();
  if (absl::Status from = CheckFrom(); !from.ok()) return from;
  const auto target = target_.Read(nullptr);
  if (!target.ok()) return target.status();
  replication::RestoreOptions options;
  options.target = *target;
  options.replicas = target_.replicas();
  options.bump = target_.bump();
  options.interrupted = output->interrupted();
  const Pace pace("writing", "record");
  options.progress = [&](const replication::BucketWriter::Progress& done, uint64_t of) {
    output->Progress(pace.Text(done.records, of));
  };
  return snapshot_.empty() ? FromEndpoints(output, *form, options)
                           : FromSnapshot(output, *form, options);
}

absl::Status ImportCommand::CheckFrom() const {
  if (snapshot_.empty() == endpoints_.empty()) {
    return Invalid("from where? Give either --from-snapshot or --from-endpoints");
  }
  const bool until = !until_idle_.empty() || until_revision_ != 0;
  if (endpoints_.empty() && (follow_ || until)) {
    return Invalid("--follow is for --from-endpoints");
  }
  if (until && !follow_) {
    return Invalid("--until-idle and --until-revision are for --follow; give it too");
  }
  if (cert_file_.empty() != key_file_.empty()) {
    return Invalid("--from-cert and --from-key go together");
  }
  if (user_.empty() && !password_file_.empty()) {
    return Invalid("--from-password-file is for --from-user; give it too");
  }
  return absl::OkStatus();
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

absl::StatusOr<int> ImportCommand::FromEndpoints(Output* output, OutputForm form,
                                                 const replication::RestoreOptions& given) const {
  LiveImportOptions options;
  options.restore = given;
  options.store = {.endpoints = SplitCommas(endpoints_),
                   .ca_file = ca_file_,
                   .cert_file = cert_file_,
                   .key_file = key_file_,
                   .user = user_.substr(0, user_.find(':')),
                   .prefix = prefix_};
  if (const size_t colon = user_.find(':'); colon != std::string::npos) {
    options.store.password = user_.substr(colon + 1);
  }
  if (!password_file_.empty()) {
    auto password = ReadWholeFile(password_file_);
    if (!password.ok()) {
      return MakeStatus(password.status().code(),
                        "--from-password-file: ", MessageOf(password.status()));
    }
    while (password->ends_with('\n') || password->ends_with('\r')) password->pop_back();
    options.store.password = *std::move(password);
  }
  options.follow = follow_;
  options.until = Revision(until_revision_);
  options.dry_run = dry_run_;
  options.form = form;
  if (!until_idle_.empty()) {
    absl::Duration idle;
    if (!absl::ParseDuration(until_idle_, &idle) || idle <= absl::ZeroDuration()) {
      return Invalid("--until-idle: \"", until_idle_, "\" is no time such as 10s");
    }
    options.until_idle = absl::ToChronoMilliseconds(idle);
  }
  const auto imported = ImportLive(output, options);
  if (imported.ok() || !absl::IsInvalidArgument(imported.status())) return imported;
  // What a server says is no mistake in the command line.
  return absl::FailedPreconditionError(std::string(imported.status().message()));
}

}  // namespace jetd::cli
