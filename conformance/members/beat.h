// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_MEMBERS_BEAT_H_
#define JETD_CONFORMANCE_MEMBERS_BEAT_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "conformance/history/violations.h"
#include "etcdclient/client.h"

namespace jetd::conformance {

// Writes a new key every few milliseconds, whether or not the ones before were answered, through
// one member at a time, and notes when which was answered: how long nobody could write is the
// longest time between two answers. Afterwards every answered key must be there, once, and no
// refused one.
//
// Thread rules: one thread, and two of its own.
class Beat {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Options {
    std::vector<std::string> endpoints;
    std::chrono::milliseconds every{5};
  };
  struct Counts {
    size_t answered = 0, refused = 0, unknown = 0, unknown_landed = 0;
  };

  explicit Beat(Options options);
  ~Beat();
  Beat(const Beat&) = delete;
  Beat& operator=(const Beat&) = delete;

  [[nodiscard]] static std::string Prefix() { return "/members/beat/"; }

  // From now on through this member.
  void Use(size_t member) { member_ = member; }
  // The longest time without an answer from `since` (which counts as one) to now.
  [[nodiscard]] std::chrono::nanoseconds LongestGap(Time since) const;
  // Until a write that was begun after `since` was answered. False: not in time.
  [[nodiscard]] bool AwaitAnswer(Time since, std::chrono::milliseconds patience) const;

  // No more; all are answered, or their deadline is over.
  void Stop();
  // After Stop: what the store has, read through one member, against what was answered.
  [[nodiscard]] absl::Status Judge(const std::string& endpoint, history::Violations& violations);
  [[nodiscard]] Counts counts() const;
  [[nodiscard]] std::map<std::string, size_t> errors() const;

 private:
  enum class Fate : uint8_t { kOpen, kAnswered, kRefused, kUnknown };
  struct Write {
    Fate fate = Fate::kOpen;
    int64_t revision = 0;
    Time sent, ended;
  };

  void Run();
  void Send(etcdclient::Client& client);

  const Options options_;
  std::atomic<bool> stop_{false};
  std::atomic<size_t> member_{0};

  mutable Mutex mutex_;
  std::vector<Write> writes_ ABSL_GUARDED_BY(mutex_);
  std::vector<Time> answers_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, size_t> errors_ ABSL_GUARDED_BY(mutex_);
  Counts counts_ ABSL_GUARDED_BY(mutex_);

  std::vector<std::unique_ptr<etcdclient::Client>> clients_;
  std::thread thread_;
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_MEMBERS_BEAT_H_
