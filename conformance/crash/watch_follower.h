// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_CRASH_WATCH_FOLLOWER_H_
#define JETD_CONFORMANCE_CRASH_WATCH_FOLLOWER_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "conformance/crash/op_log.h"
#include "conformance/watch_order.h"
#include "etcdclient/client.h"

namespace jetd::conformance {

// A client that watches everything under a prefix from a revision on and survives what happens to
// the server: when its stream ends it watches again from the revision after the last it saw, as
// etcd's own client does. Between events it asks for progress.
//
// It checks what a watch promises by itself (WatchOrder). Whether all events came, each once, is
// for the one who has the history to say.
//
// Thread rules: made, stopped and read by one thread; it has one of its own.
class WatchFollower {
 public:
  struct Options {
    std::string name;  // for violations
    std::string endpoint;
    std::string prefix;
    int64_t start_revision = 1;
    // Open a new stream after so many responses, to see that nothing is lost or doubled at the
    // seam; 0: never.
    int reopen_after = 0;
    // Ends by itself when it has this one; 0: never.
    int64_t end_revision = 0;
  };

  explicit WatchFollower(Options options);
  ~WatchFollower();
  WatchFollower(const WatchFollower&) = delete;
  WatchFollower& operator=(const WatchFollower&) = delete;

  [[nodiscard]] const std::string& name() const { return options_.name; }
  // The newest revision whose events it has; any thread.
  [[nodiscard]] int64_t seen() const { return seen_.load(); }
  // Tells it to stop, and does not wait for that; any thread.
  void StopSoon() { stop_ = true; }
  void Stop();

  // After Stop.
  [[nodiscard]] const std::vector<HistoryEvent>& events() const { return events_; }
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }
  [[nodiscard]] int streams() const { return streams_; }
  [[nodiscard]] int progress_answers() const { return progress_answers_; }

 private:
  void Run();
  void Note(const std::string& wrong);
  // False: this stream is of no more use.
  bool Take(const etcdclient::pb::WatchResponse& response);

  const Options options_;
  std::atomic<bool> stop_{false};
  std::atomic<int64_t> seen_{0};
  // The thread's, until Stop.
  std::vector<HistoryEvent> events_;
  std::vector<std::string> violations_;
  WatchOrder order_;
  int streams_ = 0;
  int progress_answers_ = 0;
  std::thread thread_;
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_CRASH_WATCH_FOLLOWER_H_
