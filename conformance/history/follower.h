// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_HISTORY_FOLLOWER_H_
#define JETD_CONFORMANCE_HISTORY_FOLLOWER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "conformance/history/key_space.h"
#include "conformance/history/revision_check.h"
#include "conformance/history/violations.h"
#include "conformance/history/watch_check.h"
#include "conformance/watch_order.h"
#include "etcdclient/client.h"

namespace jetd::conformance::history {

// A client with several watches on one stream that survives what happens to the server: when its
// stream ends it watches again, each watch from the revision after the last that is complete: the
// last it saw, or what a progress answer declared. So a progress that promised too much loses
// events, and is found.
//
// Thread rules: made and stopped by one thread, everything else any thread; it has a thread of its
// own. `keys` outlives it.
class Follower {
 public:
  struct Options {
    std::string name;  // for violations
    std::string endpoint;
    std::vector<WatchSpec> watches;
    int64_t start_revision = 1;
    // Open a new stream after so many responses; 0: never.
    int reopen_after = 0;
  };
  struct Taken {
    std::vector<std::vector<WatchEvent>> events;  // by watch
    std::vector<RevisionCheck::Sighting> sightings;
    Violations violations;
  };

  Follower(Options options, const KeySpace* keys);
  ~Follower();
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;

  // All watches have everything up to here.
  [[nodiscard]] int64_t complete() const;
  // For messages: how far each watch is.
  [[nodiscard]] std::string Progress() const;
  // What came at or below this revision. REQUIRES: complete up to it.
  [[nodiscard]] Taken Take(int64_t revision);
  void Stop();

  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] size_t streams() const { return streams_.load(); }
  [[nodiscard]] size_t progress_answers() const { return progress_answers_.load(); }

 private:
  void Run();
  void Create(etcdclient::WatchStream& stream);
  // False: this stream is of no more use.
  bool Take(const etcdserverpb::WatchResponse& response);
  void TakeEvents(size_t watch, const etcdserverpb::WatchResponse& response)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TakeProgress(const etcdserverpb::WatchResponse& response)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Note(const std::string& wrong) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const KeySpace* const keys_;
  std::atomic<bool> stop_{false};
  std::atomic<size_t> streams_{0}, progress_answers_{0};

  mutable Mutex mutex_;
  std::vector<WatchOrder> orders_ ABSL_GUARDED_BY(mutex_);
  Taken taken_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace jetd::conformance::history

#endif  // JETD_CONFORMANCE_HISTORY_FOLLOWER_H_
