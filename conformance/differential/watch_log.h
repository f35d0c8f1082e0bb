// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_DIFFERENTIAL_WATCH_LOG_H_
#define JETD_CONFORMANCE_DIFFERENTIAL_WATCH_LOG_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "conformance/differential/step.h"

namespace jetd::conformance::differential {

// One event of a watch, or its cancel because of compaction, as text to be compared.
struct WatchItem {
  int64_t revision = 0;
  std::string bytes;  // mvccpb.Event; or the whole response of a compaction cancel
  bool compacted = false;
  [[nodiscard]] std::string Text() const;
  friend bool operator==(const WatchItem&, const WatchItem&) = default;
};

// WatchLog takes what one server sends on one watch stream, sorted by watch. How events are put
// into responses is a server's own business and is not kept, but it is judged by etcd's guarantees:
// revisions rise, a revision is not split without `fragment`, and nothing at or below a revision
// comes after a progress answer with it.
//
// Add and End are called by the client's thread, the others by the suite's.
class WatchLog {
 public:
  using Deadline = std::chrono::steady_clock::time_point;
  struct Expected {
    int64_t events = 0;
    int64_t compacted = 0;
    friend bool operator==(const Expected&, const Expected&) = default;
  };

  void Add(pb::WatchResponse response);
  void End(const absl::Status& status);

  // The answer to the `count`-th create of this stream, counted from 1. Likewise for cancels, of
  // those that etcd answers.
  [[nodiscard]] absl::StatusOr<pb::WatchResponse> WaitCreated(size_t count, Deadline deadline);
  [[nodiscard]] absl::StatusOr<pb::WatchResponse> WaitCanceled(size_t count, Deadline deadline);
  // The newest answer to a progress request, if there were more than `count` of them.
  [[nodiscard]] std::optional<pb::WatchResponse> WaitProgress(size_t count, Deadline deadline);
  [[nodiscard]] size_t progress_count();
  // A notification by interval for this watch with at least this revision.
  [[nodiscard]] bool WaitNotification(int64_t watch_id, int64_t revision, Deadline deadline);

  // Until as many have come since the stream began. False at the deadline, or if more came.
  [[nodiscard]] bool WaitEvents(int64_t watch_id, Expected expected, Deadline deadline);
  // What came for this watch since the last call.
  [[nodiscard]] std::vector<WatchItem> Take(int64_t watch_id);
  [[nodiscard]] Expected Counts(int64_t watch_id);
  // The first guarantee that was broken, "" if none was.
  [[nodiscard]] std::string violation();
  [[nodiscard]] size_t fragments();

 private:
  struct Sequence {
    std::vector<WatchItem> items;
    Expected counts;
    int64_t last_event = 0;  // revision
    int64_t progress = 0;    // nothing at or below this may come any more
    bool in_fragment = false;
    int64_t notified = 0;
  };

  void AddEvents(Sequence& sequence, pb::WatchResponse& response)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddProgress(const pb::WatchResponse& response) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Violated(const std::string& what, const pb::WatchResponse& response)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  CondVar changed_;
  std::map<int64_t, Sequence> sequences_ ABSL_GUARDED_BY(mutex_);
  std::vector<pb::WatchResponse> created_ ABSL_GUARDED_BY(mutex_);
  std::vector<pb::WatchResponse> canceled_ ABSL_GUARDED_BY(mutex_);
  std::vector<pb::WatchResponse> progress_ ABSL_GUARDED_BY(mutex_);
  size_t fragments_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string violation_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace jetd::conformance::differential

#endif  // JETD_CONFORMANCE_DIFFERENTIAL_WATCH_LOG_H_
