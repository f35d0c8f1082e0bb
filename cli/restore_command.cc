// SPDX-License-Identifier: Apache-2.0
#include "cli/restore_command.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/strings.h"
#include "cli/figures.h"
#include "cli/fill_bucket.h"
#include "cli/flags.h"
#include "cli/in_place.h"
#include "etcdclient/client.h"
#include "replication/past_state.h"

namespace jetd::cli {
namespace {

using replication::BucketState;
using replication::Point;
using replication::StreamSource;

constexpr char kExamples[] =
    "Give the moment, where the past is, and where it is to go.\n"
    "\n"
    "Into a new bucket: every key with its revisions, version and lease, and the leases. Its "
    "current\n"
    "revision lies --bump above the source's newest, and all before it is compacted: clients that\n"
    "saw the old store list anew, and see no revision go back. Until it is whole and was read "
    "back,\n"
    "no jetd serves it; cut short, the same command goes on.\n"
    "\n"
    "In place: what differs is written to the jetd that serves --endpoints, as transactions that\n"
    "watchers see, one for each key. Leases that are gone are not attached again. Look at it with\n"
    "--dry-run, and give the revision that it names: --before-deletion and --before-change name\n"
    "another moment once keys are written, and so does 10m.\n"
    "\n"
    "Examples:\n"
    "  jetctl restore --data-dir /var/lib/jetd --to-time 10m --to-data-dir /var/lib/jetd-restored\n"
    "  jetctl restore --nats-url nats://n1:4222 --bucket a --to-revision 4711 --to-bucket a2\n"
    "  jetctl restore --nats-url nats://n1:4222 --bucket a --namespace web\\\n"
    "                 --before-deletion /registry/namespaces/web\\\n"
    "                 --in-place --endpoints http://127.0.0.1:2379 --dry-run";

int64_t NowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string MomentOf(const StreamSource& source, const replication::State& state) {
  std::string text = Cat("revision ", state.revision.value(), " of bucket ", source.bucket);
  if (state.time_ns != 0) CatTo(text, " (", replication::TimeText(state.time_ns), ")");
  return text;
}

}  // namespace

void RestoreCommand::AddFlags(CLI::App* app) {
  app->footer(kExamples);
  const std::string moment = "The moment";
  AddText(
      app, moment, "--to-time", &to_time_,
      "As all was then: 2026-11-20T15:10:00Z, or 10m for so long ago; the stream's clock counts");
  AddNumber(app, moment, "--to-revision", &to_revision_, "As all was at this revision", int64_t{1});
  AddText(app, moment, "--before-change", &before_change_,
          "As all was before the newest change of this key");
  AddText(
      app, moment, "--before-deletion", &before_deletion_,
      "As all was before Kubernetes began to delete this key's object, which it may take long to "
      "do: before its deletionTimestamp");
  app->add_option("--prefix", prefixes_, "Only keys with this prefix; may be given several times")
      ->allow_extra_args(false)
      ->group(moment);
  app->add_option(
         "--namespace", namespaces_,
         "Only this namespace of Kubernetes: /registry/namespaces/NAME and the keys of all "
         "that is in it; may be given several times")
      ->allow_extra_args(false)
      ->group(moment);
  source_.AddTo(app, "--source-in-place");
  target_.AddTo(app);
  const std::string place = "In place";
  app->add_flag("--in-place", in_place_, "Write the difference to the store that is served")
      ->group(place);
  AddText(app, place, "--endpoints", &endpoints_, "Client URLs of its jetd, comma-separated");
  AddText(app, place, "--cacert", &ca_file_, "CA of its certificate, PEM");
  AddText(app, place, "--cert", &cert_file_, "Client certificate for it, PEM");
  AddText(app, place, "--key", &key_file_, "Its key, PEM");
  app->add_flag("--from-another-store", from_another_store_,
                "--endpoints serves another store than the one that is read, and its keys are to "
                "be replaced")
      ->group(place);
  app->add_flag("--yes", yes_, "Do not ask")->group(place);
  app->add_flag("--dry-run", dry_run_, "Say what would be done, and do nothing");
  output_.AddTo(app);
}

absl::Status RestoreCommand::CheckFlags() const {
  const int points = (to_time_.empty() ? 0 : 1) + (to_revision_ == 0 ? 0 : 1) +
                     (before_change_.empty() ? 0 : 1) + (before_deletion_.empty() ? 0 : 1);
  if (points != 1) {
    return Invalid(
        "which moment? Give one of --to-time, --to-revision, --before-change and "
        "--before-deletion");
  }
  if (in_place_ && target_.given()) {
    return Invalid(
        "--in-place writes to --endpoints, and the --to- flags name a new bucket; give "
        "one of them");
  }
  if (in_place_ && SplitCommas(endpoints_).empty()) {
    return Invalid("--in-place goes through the jetd that serves the store; give its --endpoints");
  }
  if (!in_place_ && !endpoints_.empty()) return Invalid("--endpoints is for --in-place");
  if (!in_place_ && from_another_store_) {
    return Invalid("--from-another-store is for --in-place");
  }
  if (!in_place_ && !(ca_file_.empty() && cert_file_.empty() && key_file_.empty())) {
    return Invalid("--cacert, --cert and --key are for --in-place");
  }
  for (const std::string& endpoint : SplitCommas(endpoints_)) {
    // It does not wait for the server; a mistake is told before the store is read.
    const auto client = etcdclient::Client::Connect({.endpoint = endpoint,
                                                     .ca_file = ca_file_,
                                                     .cert_file = cert_file_,
                                                     .key_file = key_file_});
    if (client.ok()) continue;
    return MakeStatus(client.status().code(), "--endpoints: ", MessageOf(client.status()));
  }
  return absl::OkStatus();
}

absl::StatusOr<Point> RestoreCommand::ThePoint() const {
  if (to_revision_ != 0) {
    return Point{.kind = Point::Kind::kRevision, .revision = Revision(to_revision_)};
  }
  if (!before_change_.empty()) {
    return Point{.kind = Point::Kind::kBeforeChange, .key = before_change_};
  }
  if (!before_deletion_.empty()) {
    return Point{.kind = Point::Kind::kBeforeDeletion, .key = before_deletion_};
  }
  auto point = replication::ParsePoint(to_time_, NowNs());
  if (!point.ok() || point->kind != Point::Kind::kTime) {
    return Invalid("--to-time: \"", to_time_,
                   "\" is no time; give one (2026-11-20T15:10:00Z), or how long ago (10m, 1h30m)");
  }
  return point;
}

std::string RestoreCommand::MovingMoment() const {
  if (!before_change_.empty()) return "--before-change";
  if (!before_deletion_.empty()) return "--before-deletion";
  if (to_time_.empty()) return "";
  // So long ago.
  const auto now = replication::ParsePoint(to_time_, 0);
  const auto later = replication::ParsePoint(to_time_, 1);
  const bool same = now.ok() && later.ok() && now->time_ns == later->time_ns;
  return same ? "" : Cat("--to-time=", to_time_);
}

absl::StatusOr<int> RestoreCommand::Run(Output* output) {
  if (absl::Status flags = CheckFlags(); !flags.ok()) return flags;
  const auto form = output_.Read();
  if (!form.ok()) return form.status();
  const auto selection = replication::KeySelection::Make(prefixes_, namespaces_);
  if (!selection.ok()) return selection.status();
  const auto point = ThePoint();
  if (!point.ok()) return point.status();
  auto source = source_.Read();
  if (!source.ok()) return source.status();
  StreamSource target;
  if (!in_place_) {
    auto read = target_.Read(&*source);
    if (!read.ok()) return read.status();
    target = *std::move(read);
  }
  source->patience = std::chrono::seconds(0);  // as long as it takes
  source->interrupted = output->interrupted();
  const Pace pace("reading", "record");
  replication::StateOptions options;
  options.progress = [&](uint64_t records) { output->Progress(pace.Text(records, 0)); };
  output->Progress("opening the store");
  auto read = replication::ReadState(*source, *point, options);
  if (!read.ok()) return read.status();
  const std::string moment = MomentOf(*source, *read);
  if (!read->lost_leases.empty()) {
    output->Say(name(), Cat(Counted(read->lost_leases.size(), "lease"),
                            " of keys can no longer be found out; the keys come without"));
  }
  const uint64_t cluster_id = read->cluster_id;
  BucketState state = replication::BucketStateOf(*std::move(read));
  std::erase_if(state.keys,
                [&selection](const revision::KvRef& kv) { return !selection->Matches(kv->key()); });
  if (in_place_) return InPlace(output, *form, moment, cluster_id, *selection, state);
  if (state.keys.empty() && !selection->all()) {
    return MakeStatus(absl::StatusCode::kNotFound, moment, " has no ", selection->Text(),
                      "; nothing was done");
  }
  return IntoBucket(output, *form, *source, Cat(moment, ", ", selection->Text()), std::move(state),
                    target);
}

absl::StatusOr<int> RestoreCommand::IntoBucket(Output* output, OutputForm form,
                                               const StreamSource& source,
                                               const std::string& moment, BucketState state,
                                               const StreamSource& target) {
  replication::RestoreOptions options;
  options.target = target;
  options.replicas = target_.replicas();
  options.source = Cat("bucket ", source.bucket);
  options.bump = target_.bump();
  options.interrupted = output->interrupted();
  const Pace pace("writing", "record");
  options.progress = [&](const replication::BucketWriter::Progress& done, uint64_t of) {
    output->Progress(pace.Text(done.records, of));
  };
  return FillBucket(output, form, dry_run_, moment, options, std::move(state));
}

absl::StatusOr<int> RestoreCommand::InPlace(Output* output, OutputForm form,
                                            const std::string& moment, uint64_t cluster_id,
                                            const replication::KeySelection& selection,
                                            const BucketState& state) {
  InPlaceOptions options;
  options.moment = moment;
  options.revision = state.revision;
  options.moves = MovingMoment();
  options.cluster_id = cluster_id;
  options.from_another_store = from_another_store_;
  options.selection = &selection;
  options.dry_run = dry_run_;
  options.yes = yes_;
  options.form = form;
  options.store = {.endpoints = SplitCommas(endpoints_),
                   .ca_file = ca_file_,
                   .cert_file = cert_file_,
                   .key_file = key_file_};
  options.command = Cat("jetctl restore --in-place", source_.Typed(), " ",
                        replication::ShellWord(Cat("--endpoints=", endpoints_)));
  for (const auto& [flag, value] :
       {std::pair("--cacert=", &ca_file_), std::pair("--cert=", &cert_file_),
        std::pair("--key=", &key_file_)}) {
    if (!value->empty()) CatTo(options.command, " ", replication::ShellWord(Cat(flag, *value)));
  }
  if (from_another_store_) options.command += " --from-another-store";
  options.command += selection.Flags();
  return RestoreInPlace(output, options, state);
}

}  // namespace jetd::cli
