// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_BUCKET_RESTORE_H_
#define JETD_REPLICATION_BUCKET_RESTORE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "base/types.h"
#include "jetstream/restore_record.h"
#include "replication/bucket_state.h"
#include "replication/bucket_writer.h"
#include "replication/stream_source.h"

namespace jetd::replication {

// By how much the revision of a restored bucket lies above all that its source is known to have
// given out, unless it is said: so many transactions take a year at 30 a second, and a mirror that
// lags, or an origin that went on, is not so far ahead. Nine thousand million restores fit.
inline constexpr int64_t kDefaultBump = 1'000'000'000;

// What a state is to be called in the bucket that is filled with it: "revision 42 of bucket etcd
// (3 keys, 1 lease, hash 1234)".
[[nodiscard]] std::string NameOfState(const std::string& source, const BucketState& state);
// The record that filling a bucket begins with. OutOfRange: no revision is left for the bump.
[[nodiscard]] absl::StatusOr<jetstream::RestoreRecord> NewRestore(std::string what,
                                                                  Revision revision,
                                                                  Revision newest, int64_t bump);

struct RestoreOptions {
  StreamSource target;
  int replicas = 1;
  std::string source{};  // for people: "bucket etcd"
  int64_t bump = kDefaultBump;
  std::function<void(const BucketWriter::Progress& done, uint64_t of)> progress{};
  const std::atomic<bool>* interrupted = nullptr;
};

struct RestoreReport {
  BucketWriter::Result written;
  std::string target;  // for people
  uint64_t keys = 0, leases = 0, bytes = 0;
  uint32_t hash = 0;
  Mends mends;
  // `jetctl check` of the bucket agrees: no damage, and its HashKV is `hash`. False: it was whole
  // before, or a jetd had begun to write to it.
  bool checked = false;
  double seconds = 0;
};

// Fills a new bucket with a state (bucket_writer.h), or goes on with that, and checks it. Blocks.
// kDataLoss: it is whole, and the check found something else in it.
[[nodiscard]] absl::StatusOr<RestoreReport> RestoreBucket(const RestoreOptions& options,
                                                          BucketState state);

// How long that takes, for people; writes at the rates that were measured (docs/OPERATIONS.md).
[[nodiscard]] double EstimateSeconds(const BucketState& state);

// Compares a bucket that was just filled with what it should hold. True: it does; false: somebody
// writes to it already.
[[nodiscard]] absl::StatusOr<bool> CheckFilled(const StreamSource& place,
                                               const jetstream::RestoreRecord& restore,
                                               uint64_t keys, uint32_t hash);

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_BUCKET_RESTORE_H_
