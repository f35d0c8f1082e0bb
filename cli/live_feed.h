// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_LIVE_FEED_H_
#define JETD_CLI_LIVE_FEED_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "base/executor.h"
#include "base/types.h"
#include "cli/figures.h"
#include "cli/live_follower.h"
#include "cli/output.h"
#include "jetstream/subject.h"
#include "replication/bucket_feed.h"
#include "replication/state_feed.h"

namespace jetd::cli {

// How an import of a store that lives has ended.
struct Imported {
  replication::BucketState state;  // read back and found to be that of the old store
  uint64_t changes = 0;            // revisions that were followed
  uint64_t anew = 0;               // times that all was written anew
  Revision newest;                 // of the old store, once it was compared
};

// The records of a LiveFollower, and the comparison of what was written with what it read in the
// end. Shows how far it is. Thread of the log.
class LiveFeed final : public replication::BucketFeed {
 public:
  // All outlive it. `bumped`: all revisions of the old store are below.
  LiveFeed(Executor* executor, Output* output, const jetstream::SubjectCodec* codec,
           LiveStore* store, LiveFollower::Options options, Revision bumped, Imported* imported);

  // A store that lives on gives other records when it is asked anew.
  [[nodiscard]] bool compares() const override { return false; }
  [[nodiscard]] absl::StatusOr<More> Next(StreamSeq seq, revision::PlannedRecord* record) override;
  void BeginReadBack() override;
  void OnReadBack(const jetstream::Record& record) override;
  [[nodiscard]] absl::Status EndReadBack() override;

 private:
  [[nodiscard]] absl::StatusOr<More> Take();
  [[nodiscard]] More OnWhole(LiveFollower::Whole whole);
  [[nodiscard]] absl::Status OnChange(const LiveFollower::Change& change);
  void OnLeases(const LiveFollower::Leases& leases);
  void Show();

  Executor* const executor_;
  Output* const output_;
  const jetstream::SubjectCodec* const codec_;
  const Revision bumped_;
  const bool follow_;
  Imported* const imported_;

  replication::BucketState whole_;
  std::unique_ptr<replication::StateFeed> whole_feed_;  // null: it has all been given
  std::deque<revision::PlannedRecord> next_;
  bool begun_ = false, told_ = false;
  uint64_t given_ = 0;  // of whole_
  std::optional<LiveFollower::End> end_;
  std::map<std::string, revision::KvRef> keys_;  // read back
  std::set<LeaseId> leases_;
  Pace reading_{"reading the old store", "key"}, comparing_{"comparing", "key"};
  std::optional<Pace> writing_, following_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  LiveFollower follower_;  // last: its thread goes first
};

}  // namespace jetd::cli

#endif  // JETD_CLI_LIVE_FEED_H_
