// SPDX-License-Identifier: Apache-2.0
#include "replication/bucket_restore.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <utility>

#include "base/random_id.h"
#include "base/strings.h"
#include "replication/bucket_check.h"
#include "replication/bucket_target.h"
#include "replication/state_feed.h"

namespace jetd::replication {
namespace {

using jetstream::RestoreRecord;

constexpr double kRecordsPerSecond = 25'000;
constexpr double kBytesPerSecond = 40e6;
// A nats-server to start, a connection, the check.
constexpr double kSecondsAtLeast = 1;

std::string Counted(uint64_t n, std::string_view noun) {
  return Cat(n, " ", noun, n == 1 ? "" : "s");
}

double Since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

std::string NameOfState(const std::string& source, const BucketState& state) {
  return Cat("revision ", state.revision.value(), " of ", source, " (",
             Counted(state.keys.size(), "key"), ", ", Counted(state.leases.size(), "lease"),
             ", hash ", HashOf(state), ")");
}

absl::StatusOr<RestoreRecord> NewRestore(std::string what, Revision revision, Revision newest,
                                         int64_t bump) {
  const int64_t from = std::max(revision, newest).value();
  if (bump < 1 || from > std::numeric_limits<int64_t>::max() / 2 - bump) {
    return MakeStatus(absl::StatusCode::kOutOfRange, "revision ", from, " cannot be bumped by ",
                      bump);
  }
  RestoreRecord restore;
  restore.what = std::move(what);
  restore.id = RandomId();
  restore.revision = revision;
  restore.bumped = Revision(from + bump);
  restore.bump = bump;
  return restore;
}

double EstimateSeconds(const BucketState& state) {
  const auto records = static_cast<double>(state.keys.size() + state.leases.size());
  return kSecondsAtLeast + std::max(records / kRecordsPerSecond,
                                    static_cast<double>(StreamBytesOf(state)) / kBytesPerSecond);
}

absl::StatusOr<bool> CheckFilled(const StreamSource& place, const RestoreRecord& restore,
                                 uint64_t keys, uint32_t hash) {
  BucketCheck::Options options;
  options.source = place;
  options.source.patience = std::chrono::seconds(0);  // as long as it takes
  const auto check = BucketCheck::Run(options);
  if (!check.ok()) {
    return MakeStatus(check.status().code(),
                      "the bucket is whole; its check did not end: ", MessageOf(check.status()));
  }
  const CheckReport& report = (*check)->report();
  if (report.term > kWholeTerm) return false;
  if (report.damages() == 0 && report.keys == keys && report.hash == hash &&
      report.revision == restore.bumped && report.compacted == restore.bumped) {
    return true;
  }
  return MakeStatus(absl::StatusCode::kDataLoss, "the bucket is not what it should be: revision ",
                    report.revision.value(), ", compacted ", report.compacted.value(), ", ",
                    report.keys, " keys, hash ", report.hash, ", ", report.damages(),
                    " damages; wanted ", restore.bumped.value(), ", ", keys, " keys, hash ", hash,
                    ". See jetctl check");
}

absl::StatusOr<RestoreReport> RestoreBucket(const RestoreOptions& options, BucketState state) {
  const auto start = std::chrono::steady_clock::now();
  const absl::StatusOr<Mends> mends = Mend(&state);
  if (!mends.ok()) return mends.status();
  RestoreReport report;
  report.mends = *mends;
  report.keys = state.keys.size();
  report.leases = state.leases.size();
  report.bytes = state.bytes();
  report.hash = HashOf(state);
  const auto restore =
      NewRestore(NameOfState(options.source, state), state.revision, state.newest, options.bump);
  if (!restore.ok()) return restore.status();
  const auto target = BucketTarget::Open(options.target, options.replicas);
  if (!target.ok()) return target.status();
  report.target = (*target)->name();
  BucketWriter::Options writer;
  writer.restore = *restore;
  writer.expected_bytes = StreamBytesOf(state);
  if (options.progress) {
    // Beside the leases and keys: the three records of jetd's own.
    writer.progress = [&options, of = report.keys + report.leases + 3](
                          const BucketWriter::Progress& done) { options.progress(done, of); };
  }
  const Revision newest = std::max(state.newest, state.revision);
  const auto written = (*target)->Fill(
      writer,
      [&](Loop* /*loop*/, const std::function<void()>& /*wake*/,
          const RestoreRecord& begun) -> absl::StatusOr<std::unique_ptr<BucketFeed>> {
        if (begun.bumped <= newest) {
          return MakeStatus(absl::StatusCode::kFailedPrecondition, "the source is at revision ",
                            newest.value(), " by now, and this restore was begun for revision ",
                            begun.bumped.value(), "; remove the bucket and begin anew");
        }
        return std::make_unique<StateFeed>(&(*target)->codec(), &state);
      },
      {.connect = options.target.connect_patience,
       .end = std::chrono::seconds(0),
       .interrupted = options.interrupted});
  if (!written.ok()) return written.status();
  report.written = *written;
  if (!written->was_whole) {
    const auto checked =
        CheckFilled((*target)->place(), written->restore, report.keys, report.hash);
    if (!checked.ok()) return checked.status();
    report.checked = *checked;
  }
  report.seconds = Since(start);
  return report;
}

}  // namespace jetd::replication
