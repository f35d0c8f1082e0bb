// SPDX-License-Identifier: Apache-2.0
#include "cli/live_import.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "cli/figures.h"
#include "cli/fill_bucket.h"
#include "cli/live_feed.h"
#include "replication/bucket_target.h"
#include "replication/past_state.h"
#include "replication/state_at.h"

namespace jetd::cli {
namespace {

using jetstream::RestoreRecord;
using replication::BucketFeed;
using replication::BucketState;
using replication::BucketTarget;

// The same for every way to the same store, so that an import that was cut short is known again.
std::string NameOfStore(LiveStore* store, const LiveStore::Options& options) {
  std::string text;
  if (store->cluster_id() != 0) {
    std::array<char, 16> hex{};
    const auto end = std::to_chars(hex.begin(), hex.end(), store->cluster_id(), 16);
    CatTo(text, "the store of cluster ", std::string_view(hex.data(), end.ptr - hex.data()));
  } else {
    std::vector<std::string> endpoints = options.endpoints;
    std::sort(endpoints.begin(), endpoints.end());
    CatTo(text, "the store at");
    for (const std::string& endpoint : endpoints) CatTo(text, " ", endpoint);
  }
  if (!options.prefix.empty()) CatTo(text, ", its keys with prefix ", options.prefix);
  return text;
}

// The old store as it is, or was at `until`; not mended.
absl::StatusOr<BucketState> ReadOld(Output* output, LiveStore* store,
                                    const LiveImportOptions& options) {
  const Pace pace("reading", "key");
  LiveStore::ReadOptions read;
  read.ranges = {store->everything()};
  read.at = options.until;
  read.interrupted = output->interrupted();
  read.progress = [&](uint64_t keys, uint64_t /*bytes*/) { output->Progress(pace.Text(keys, 0)); };
  auto state = store->ReadKeys(read);
  if (!state.ok()) return state.status();
  auto leases = store->ReadLeases(state->keys);
  if (!leases.ok()) return leases.status();
  state->leases = *std::move(leases);
  return state;
}

absl::StatusOr<int> DryRun(Output* output, LiveStore* store, const LiveImportOptions& options) {
  auto state = ReadOld(output, store, options);
  if (!state.ok()) return state.status();
  const std::string moment =
      Cat("revision ", state->revision.value(), " of ", NameOfStore(store, options.store));
  return FillBucket(output, options.form, /*dry_run=*/true, moment, options.restore,
                    *std::move(state));
}

// Whether a bucket that an earlier import has filled, and nobody has written to, still holds what
// the old store does. Then `report` says what that is.
absl::Status CompareWhole(const replication::StreamSource& place, const std::string& name,
                          BucketState old, replication::RestoreReport* report) {
  auto read = replication::ReadState(place, {}, {});
  if (!read.ok()) return read.status();
  BucketState there = replication::BucketStateOf(*std::move(read));
  for (BucketState* const state : {&there, &old}) {
    if (const auto mended = replication::Mend(state); !mended.ok()) return mended.status();
  }
  report->keys = there.keys.size();
  report->leases = there.leases.size();
  report->bytes = there.bytes();
  report->hash = HashOf(there);
  if (there.keys.size() == old.keys.size() && report->hash == HashOf(old)) {
    return absl::OkStatus();
  }
  const int64_t newest = there.keys.empty() ? 1 : there.keys.back()->mod_revision().value();
  return MakeStatus(absl::StatusCode::kFailedPrecondition, report->target, " holds ", name,
                    " of an earlier import, its newest key of revision ", newest,
                    ", and not what that holds at revision ", old.revision.value(),
                    "; remove the bucket and import again");
}

double Since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

absl::StatusOr<int> ImportLive(Output* output, const LiveImportOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const auto store = LiveStore::Connect(options.store);
  if (!store.ok()) return store.status();
  if (options.dry_run) return DryRun(output, store->get(), options);
  const auto current = (*store)->CurrentRevision();
  if (!current.ok()) return current.status();
  const std::string name = NameOfStore(store->get(), options.store);
  const auto restore = replication::NewRestore(name, *current, *current, options.restore.bump);
  if (!restore.ok()) return restore.status();
  const auto target = BucketTarget::Open(options.restore.target, options.restore.replicas);
  if (!target.ok()) {
    return absl::FailedPreconditionError(std::string(target.status().message()));
  }
  replication::BucketWriter::Options writer;
  writer.restore = *restore;
  Imported imported;
  const auto written = (*target)->Fill(
      writer,
      [&](Loop* loop, const std::function<void()>& wake,
          const RestoreRecord& begun) -> absl::StatusOr<std::unique_ptr<BucketFeed>> {
        LogWhatIsWaitedFor();
        LiveFollower::Options follow;
        follow.follow = options.follow;
        follow.until_idle = options.until_idle;
        follow.until = options.until;
        follow.interrupted = output->interrupted();
        follow.wake = [loop, wake] { loop->Post(wake); };
        return std::make_unique<LiveFeed>(loop, output, &(*target)->codec(), store->get(),
                                          std::move(follow), begun.bumped, &imported);
      },
      {.connect = options.restore.target.connect_patience,
       .end = std::chrono::seconds(0),
       .interrupted = options.follow ? nullptr : output->interrupted()});
  if (!written.ok()) return written.status();
  replication::RestoreReport report;
  report.written = *written;
  report.target = (*target)->name();
  if (written->was_whole) {
    auto old = ReadOld(output, store->get(), options);
    if (!old.ok()) return old.status();
    const int64_t revision = old->revision.value();
    const absl::Status same = CompareWhole((*target)->place(), name, *std::move(old), &report);
    if (!same.ok()) return same;
    report.seconds = Since(start);
    TellFilled(output, options.form, Cat("revision ", revision, " of ", name), report,
               {{"cut_over_revision", revision}});
    return kExitOk;
  }
  report.keys = imported.state.keys.size();
  report.leases = imported.state.leases.size();
  report.bytes = imported.state.bytes();
  report.hash = HashOf(imported.state);
  const auto checked =
      replication::CheckFilled((*target)->place(), written->restore, report.keys, report.hash);
  if (!checked.ok()) return checked.status();
  report.checked = *checked;
  report.seconds = Since(start);
  const int64_t cut_over = imported.state.revision.value();
  std::string moment = Cat("revision ", cut_over, " of ", name);
  if (imported.changes > 0) {
    CatTo(moment, ", ", Counted(imported.changes, "change"), " of it followed");
  }
  TellFilled(output, options.form, moment, report,
             {{"cut_over_revision", cut_over},
              {"old_store_revision", imported.newest.value()},
              {"changes_followed", static_cast<int64_t>(imported.changes)},
              {"written_anew", static_cast<int64_t>(imported.anew)}});
  if (imported.newest.value() > cut_over) {
    output->Say("import",
                Cat("the old store has gone on to revision ", imported.newest.value(),
                    ": what changed in it after revision ", cut_over, " is not in the new one"));
  }
  return kExitOk;
}

}  // namespace jetd::cli
