// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BENCH_WATCHER_H_
#define JETD_BENCH_WATCHER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "bench/histogram.h"
#include "bench/key_space.h"
#include "etcdclient/caller.h"

namespace jetd::bench {

// A stream with one watch, which counts its events, measures how late each came after its write was
// due, and checks that revisions only rise: with the right count, none is missing or there twice.
// Each must be a put of a key of the generator's, below the prefix, with a value of that key; one
// of kBytesOfEach is looked at to the last byte, which would cost as much as the server's work for
// all.
//
// Thread rules: the thread that runs the caller.
class Watcher {
 public:
  // What the watchers of a phase share: events of writes that were due before `from_ns` count, but
  // are not measured.
  struct Lag {
    int64_t from_ns = INT64_MAX;
    Histogram histogram;
  };

  static constexpr int64_t kBytesOfEach = 64;

  // `values`, `keys` and `lag` outlive this.
  Watcher(etcdclient::Caller* caller, int connection, std::string prefix, const ValueMaker* values,
          const KeySpace* keys, Lag* lag);

  [[nodiscard]] bool created() const { return created_; }
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] int64_t events() const { return events_; }
  // The first thing that was wrong; empty: nothing.
  [[nodiscard]] const std::string& error() const { return error_; }
  // The last callback follows.
  void Cancel();

 private:
  void Take(const etcdclient::pb::WatchResponse& response);
  // What is wrong with it; empty: nothing.
  [[nodiscard]] std::string Check(const mvccpb::Event& event) const;

  const std::string prefix_;
  const ValueMaker* const values_;
  const KeySpace* const keys_;
  Lag* const lag_;
  bool created_ = false;
  bool canceled_ = false;
  bool ended_ = false;
  int64_t events_ = 0;
  int64_t last_revision_ = 0;
  std::string error_;
  std::unique_ptr<
      etcdclient::ReusableStream<etcdclient::pb::WatchRequest, etcdclient::pb::WatchResponse>>
      stream_;
};

// Runs the caller until all watches are there. DeadlineExceeded, or the first error.
[[nodiscard]] absl::Status WaitCreated(etcdclient::Caller* caller,
                                       const std::vector<std::unique_ptr<Watcher>>& watchers);

// Cancels all and runs the caller until each stream has ended.
void CancelAll(etcdclient::Caller* caller, const std::vector<std::unique_ptr<Watcher>>& watchers);

}  // namespace jetd::bench

#endif  // JETD_BENCH_WATCHER_H_
