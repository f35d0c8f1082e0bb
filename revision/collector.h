// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_COLLECTOR_H_
#define JETD_REVISION_COLLECTOR_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "base/executor.h"
#include "base/types.h"
#include "jetstream/log.h"

namespace jetd::revision {

// Collector removes from the stream what nobody can ask for any more: superseded values, delete
// markers, leases that are gone, voided records. It works in the background, a small window of
// deletes at a time with a pause between, so that writes do not wait for it.
//
// Order, since a power cut may undo the newest deletes and keep older ones: a marker (of a delete,
// of a lease that is gone) goes only after what it hides is gone and that is synced. A batch is
//   hidden …  ->  sync  ->  markers …  ->  done
// and batches run one after the other. A crash in between leaves garbage, never a key that comes
// back: the next start finds the rest by replaying.
//
// Engine thread only.
class Collector {
 public:
  struct Batch {
    std::vector<StreamSeq> hidden;  // any order, duplicates allowed
    std::vector<StreamSeq> markers;
    std::function<void()> done;  // may be null; called when all is gone
  };
  struct Options {
    size_t window = 32;                    // deletes in flight
    std::chrono::microseconds pause{500};  // after each window
    std::chrono::milliseconds retry{200};  // after an error
  };

  Collector(Executor* executor, jetstream::Log* log, Options options);
  ~Collector();
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;

  void Add(Batch batch);
  // Not connected or not leading: nothing is sent until Resume. What was in flight is sent again
  // (deleting what is not there is no error).
  void Suspend();
  void Resume();

  [[nodiscard]] uint64_t deleted() const { return deleted_; }
  [[nodiscard]] size_t waiting() const;
  // What is not known to be gone, for one batch of somebody else's.
  void AppendWaiting(std::vector<StreamSeq>* hidden, std::vector<StreamSeq>* markers) const;

 private:
  enum class Step { kHidden, kSync, kMarkers };

  void Work();
  void StartWindow(const std::vector<StreamSeq>& seqs);
  void OnDeleted(uint64_t epoch, const absl::Status& status);
  void FinishBatch();
  void Schedule(std::chrono::nanoseconds delay);

  Executor* const executor_;
  jetstream::Log* const log_;
  const Options options_;

  std::deque<Batch> batches_;
  Step step_ = Step::kHidden;
  size_t position_ = 0;     // deleted so far in the current list
  size_t window_size_ = 0;  // of the window in flight
  size_t outstanding_ = 0;
  bool failed_ = false;  // a delete of this window failed: the window is repeated
  bool running_ = false;
  bool suspended_ = true;
  TimerId timer_ = 0;
  uint64_t epoch_ = 0;
  uint64_t deleted_ = 0;
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_COLLECTOR_H_
