// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_BUCKET_CHECK_H_
#define JETD_REPLICATION_BUCKET_CHECK_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/types.h"
#include "replication/check_report.h"
#include "replication/stream_source.h"
#include "revision/store.h"

namespace jetd::replication {

// A bucket, wherever it is, checked by StreamCheck. Any one thread.
//
// Memory: the two tables of all keys, together some 350 bytes and twice the key for each key, and
// 100 bytes and the key for each version; of values what `value_memory_bytes` says, the rest in
// files of a folder that goes with this object; and the nats-server that is started for a stopped
// jetd (1 GiB of caches at most).
class BucketCheck {
 public:
  struct Options {
    StreamSource source;
    size_t value_memory_bytes = 64UL << 20;
    std::function<void(uint64_t records, uint64_t of)> progress{};
  };

  // Blocks. Damage is no error: it is in the report. FailedPrecondition: a newer version's format.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<BucketCheck>> Run(const Options& options);
  ~BucketCheck();
  BucketCheck(const BucketCheck&) = delete;
  BucketCheck& operator=(const BucketCheck&) = delete;

  [[nodiscard]] const CheckReport& report() const { return report_; }
  [[nodiscard]] CheckReport& report() { return report_; }
  // What was read, for people.
  [[nodiscard]] const std::string& name() const { return name_; }

  // HashKV of the replayed store, as a server answers it that has compacted up to `compacted`
  // (which this store then does too). An error if there is no such store, or if it is compacted
  // further. REQUIRES: at <= report().revision.
  [[nodiscard]] absl::StatusOr<uint32_t> HashAt(Revision at, Revision compacted);

 private:
  BucketCheck() = default;
  absl::Status OpenStores(const Options& options);
  absl::Status Read(const Options& options);

  std::string name_;
  CheckReport report_;
  std::unique_ptr<OpenSource> source_;
  std::string values_folder_;  // of ours
  std::string checkpoint_path_;
  std::unique_ptr<revision::Store> store_, checkpoint_store_;
};

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_BUCKET_CHECK_H_
