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
// deletes at a time with a pause between, so that writes do not wait for it: a write that comes
// meanwhile finds at most a window in front of it, each delete 26 to 38 us of nats-server's time.
//
// Its pace: small windows far apart while writes come; larger ones when so much waits that it would
// not be gone within `horizon`, and then closer ones; the largest and closest once no write has
// come for `calm_windows` windows. Windows that follow each other after 1 ms make an update
// wait 1.4 times as long, however small they are: each wakes both processes.
//   waiting   in a window   pause   a second
//   100,000         4       4 ms    about    950
//   300,000        10       4 ms    about  2,300
//   960,000        32       4 ms    about  6,500
//   2,000,000      32       2 ms    about 11,000
//   calm           32       1 ms    about 17,000
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
    size_t window = 4;                       // deletes in flight while writes come
    size_t max_window = 32;                  // the most ever
    std::chrono::microseconds pause{4'000};  // after each window while writes come
    std::chrono::microseconds least_pause{1'000};
    std::chrono::seconds horizon{120};
    int calm_windows = 25;
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
  // Suspends, and drops all that waits: the stream may be another one.
  void Forget();
  // A record of somebody's request was appended.
  void NoteWrite() { wrote_ = true; }

  [[nodiscard]] uint64_t deleted() const { return deleted_; }
  [[nodiscard]] size_t waiting() const { return waiting_; }
  // What is not known to be gone, for one batch of somebody else's.
  void AppendWaiting(std::vector<StreamSeq>* hidden, std::vector<StreamSeq>* markers) const;

 private:
  enum class Step { kHidden, kSync, kMarkers };

  void Work();
  void StartWindow(const std::vector<StreamSeq>& seqs);
  void OnDeleted(uint64_t epoch, const absl::Status& status);
  void FinishBatch();
  struct Pace {
    size_t window;
    std::chrono::microseconds pause;
  };
  [[nodiscard]] Pace NextPace();
  void Schedule(std::chrono::nanoseconds delay);

  Executor* const executor_;
  jetstream::Log* const log_;
  const Options options_;

  std::deque<Batch> batches_;
  Step step_ = Step::kHidden;
  size_t waiting_ = 0;                  // in all batches
  size_t position_ = 0;                 // deleted so far in the current list
  size_t window_size_ = 0;              // of the window in flight
  std::chrono::microseconds pause_{0};  // after it
  size_t outstanding_ = 0;
  bool wrote_ = false;   // since the last window
  int calm_ = 0;         // windows since one with writes, at most calm_windows
  bool failed_ = false;  // a delete of this window failed: the window is repeated
  bool running_ = false;
  bool suspended_ = true;
  TimerId timer_ = 0;
  uint64_t epoch_ = 0;
  uint64_t deleted_ = 0;
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_COLLECTOR_H_
