// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_USAGE_KEEPER_H_
#define JETD_ETCDAPI_USAGE_KEEPER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "base/executor.h"
#include "base/usage_record.h"

namespace jetd::etcdapi {

// UsageKeeper puts what this process used to what earlier ones did, and keeps it in the data folder
// (base/usage_record.h): a minute after something was asked of it and every minute while that goes
// on, once an hour otherwise, and at a clean stop. A process that is killed loses at most that
// minute of requests and bytes, and that hour of CPU time and watches.
//
// It sets no timer in a process of which nothing is asked: the hour is looked at when the engine is
// awake anyway. What is appended is some hundred bytes, unsynced, on the engine's thread.
//
// Thread rules: engine thread only.
class UsageKeeper {
 public:
  static constexpr std::chrono::minutes kPause{1};
  static constexpr std::chrono::hours kIdlePause{1};

  struct Sources {
    // Below which records are kept; empty: nowhere, and only this process counts.
    std::string root;
    std::function<std::optional<UsageOwner>()> owner;  // nullopt: not known yet
    std::function<UsageCounters()> counters;           // of this process since its start
    // Grows with every message that is asked or answered; looked at in every round of the loop that
    // is not within a minute of the last.
    std::function<uint64_t()> messages;
  };
  UsageKeeper(Executor* executor, Sources sources);
  ~UsageKeeper();
  UsageKeeper(const UsageKeeper&) = delete;
  UsageKeeper& operator=(const UsageKeeper&) = delete;

  // At the end of a round of the loop.
  void Look() {
    if (timer_ == 0) LookCloser();
  }
  // At a clean stop.
  void Save();

  // What earlier processes used, and from when on. With what this one used `all` is complete.
  [[nodiscard]] const UsageSample& before() const { return before_; }
  // Of the record; empty: it is in memory only, so far.
  [[nodiscard]] std::string folder() const {
    return record_ == nullptr ? std::string() : record_->folder();
  }

 private:
  void LookCloser();
  // The first of it: whose is it, and is there a place to keep it?
  [[nodiscard]] bool Begin();
  void Open();
  void TellOnce(const absl::Status& status);

  Executor* const executor_;
  const Sources sources_;
  std::unique_ptr<UsageRecord> record_;
  UsageSample before_;
  bool begun_ = false, failing_ = false;
  TimerId timer_ = 0;
  uint64_t messages_ = 0;  // at the last sample that is kept
  MonoTime tried_at_;
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_USAGE_KEEPER_H_
