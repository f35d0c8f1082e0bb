// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_SLOW_CALLS_H_
#define JETD_ETCDAPI_SLOW_CALLS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "base/executor.h"
#include "google/protobuf/descriptor.h"

namespace jetd::revision {
class Committer;
}  // namespace jetd::revision

namespace jetd::etcdapi {

// SlowCalls names unary calls that took long, and what they waited for, in the log:
//
//   slow request: etcdserverpb.KV/Put took 412 ms, of which 400 ms for the disk to sync (120 bytes
//   in, 28 out)
//
// One line a second at most; what is left out is counted, and the longest of it named, in a line
// that follows. No key, no value and no name of a user.
//
// It looks at the clock twice in a round of the engine in which calls begin or end, and never for a
// call by itself: all that happens in a round happens at its beginning. A call that waited while
// the engine was at work on something else is told by how long the round before took, which is the
// most that it can have waited.
//
// Engine thread only.
class SlowCalls {
 public:
  // Something that calls wait for: how long it took the last time, and when that ended.
  struct Wait {
    std::chrono::nanoseconds took{0};
    MonoTime ended{0};
  };
  struct Waits {
    Wait ack, sync, barrier, room;
    MonoTime connected{0};  // to NATS, the last time
  };
  // One that is answered.
  struct Call {
    const google::protobuf::MethodDescriptor* method = nullptr;
    MonoTime started{0};                 // Now() then
    std::chrono::nanoseconds behind{0};  // Behind() then
    bool forwarded = false;              // to the member that leads
    size_t request_bytes = 0, answer_bytes = 0;
  };

  // What is told of one, or of the slowest of those that were left out.
  struct Report {
    std::string text = {};    // for people
    std::string method = {};  // "etcdserverpb.KV/Put"
    std::chrono::nanoseconds took{0};
    const char* cause = "";  // a word that stays ("sync"); "work": its turn, or its own work
    std::chrono::nanoseconds waited{0};  // for that
    size_t request_bytes = 0, answer_bytes = 0;
    uint64_t left_out = 0;  // without a line of their own, this one too
  };

  // `waits` is asked for slow calls only. `say` writes a line; null: the log, as a warning.
  SlowCalls(Executor* executor, std::chrono::nanoseconds threshold, std::function<Waits()> waits,
            std::function<void(const Report&)> say = nullptr);

  // The time at the beginning of this round.
  [[nodiscard]] MonoTime Now() {
    if (!known_) now_ = executor_->Now();
    known_ = true;
    return now_;
  }
  // How long the engine was at work without a pause in the round before this one, if calls were a
  // part of it.
  [[nodiscard]] std::chrono::nanoseconds Behind() const { return behind_; }
  void OnAnswer(const Call& call) {
    if (Now() - call.started + call.behind >= threshold_) Tell(call);
  }
  // At the end of each round.
  void EndRound() {
    behind_ = known_ ? executor_->Now() - now_ : std::chrono::nanoseconds(0);
    known_ = false;
  }

 private:
  void Tell(const Call& call);
  void TellRest();
  [[nodiscard]] Report Describe(const Call& call, std::chrono::nanoseconds took) const;

  Executor* const executor_;
  const std::chrono::nanoseconds threshold_;
  const std::function<Waits()> waits_;
  const std::function<void(const Report&)> say_;

  bool known_ = false;  // now_ is of this round
  MonoTime now_{0};
  std::chrono::nanoseconds behind_{0};
  bool quiet_ = false;  // a line was written in the last second
  uint64_t left_out_ = 0;
  Report longest_;
};

// What the committer's requests waited for last.
[[nodiscard]] SlowCalls::Waits WaitsOf(const revision::Committer& committer);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_SLOW_CALLS_H_
