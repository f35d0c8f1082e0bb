// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_STREAM_CHECK_H_
#define JETD_REPLICATION_STREAM_CHECK_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "jetstream/log.h"
#include "jetstream/subject.h"
#include "replication/check_report.h"
#include "replication/stream_checker.h"
#include "revision/replay.h"
#include "revision/store.h"

namespace jetd::replication {

// StreamCheck reads a bucket's stream and says what is wrong with it:
//
//   control records -> all records -> control records that came meanwhile     (StreamChecker)
//   -> a replay into a store, compared with what the checker knows of every key and lease
//   -> a replay from the checkpoint of a clean stop, compared with that store
//
// A leader may go on writing, and may remove garbage; what it removed while it was read is read
// anew. The last two steps are left out where the first finds damage.
//
// Changes nothing, but for `checkpoint_path`, which it uses up. Engine thread only.
class StreamCheck {
 public:
  struct Options {
    jetstream::LogInfo info;
    // Where a replay goes; null: no replay. Empty, and lives as long as this.
    revision::Store* store = nullptr;
    // Another one, with the value files that the checkpoint refers to; null: no checkpoint.
    revision::Store* checkpoint_store = nullptr;
    std::string checkpoint_path{};
    // Records read of those that there are, now and then.
    std::function<void(uint64_t records, uint64_t of)> progress{};
    // How often all is read anew because it was compacted meanwhile. Then kUnavailable.
    int attempts = 5;
  };
  // FailedPrecondition: of a newer version of jetd, nothing can be said.
  using DoneFn = std::function<void(absl::StatusOr<CheckReport>)>;

  // `log` is open and connected; it and `codec` outlive this.
  StreamCheck(jetstream::Log* log, const jetstream::SubjectCodec* codec, Options options);

  // Once.
  void Run(DoneFn done);

 private:
  void Start();
  void ReadAll();
  void ReadLater();
  void Judge();
  void Replay();
  void OnReplayed(absl::StatusOr<revision::Replay::Result> result);
  void ReplayCheckpoint();
  void OnCheckpointReplayed(absl::StatusOr<revision::Replay::Result> result);
  void End(absl::StatusOr<CheckReport> report);
  [[nodiscard]] jetstream::Log::ReadOptions ControlRecords() const;

  jetstream::Log* const log_;
  const jetstream::SubjectCodec* const codec_;
  const Options options_;
  DoneFn done_;
  int attempt_ = 0;
  uint64_t of_ = 0;
  StreamSeq last_;
  std::unique_ptr<StreamChecker> checker_;
  std::unique_ptr<revision::Replay> replay_;
  uint64_t replayed_ = 0;  // records of the first replay
};

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_STREAM_CHECK_H_
