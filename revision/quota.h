// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_QUOTA_H_
#define JETD_REVISION_QUOTA_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/executor.h"
#include "base/limits.h"
#include "jetstream/log.h"

namespace jetd::revision {

// Quota says whether a put still fits: what the store holds below the number that the operator
// gave, as etcd judges the size of its file; and within what stream, account and disk leave, less a
// reserve for what must go on without room (deletes, compactions, leases that end, terms, alarms).
//
// The store knows its size. For the room no write waits: the log is asked once a second while puts
// come, and what landed since is taken off:
//
//   asked: 50 MB free;  3 MB landed since, 1 MB pending   ->   46 MB free
//
// What the collector removed meanwhile is not seen by that, so a put that does not fit by this
// reckoning waits for an answer that is not older than kFresh: kUnknown, and `on_answer` when it is
// there. While that takes longer than kPatience all fits: a log without room refuses by itself.
//
// Engine thread only.
class Quota {
 public:
  struct Options {
    // --quota-backend-bytes. kNone: only stream, account and disk count.
    uint64_t backend_bytes = limits::kQuotaBackendBytes;
  };
  static constexpr uint64_t kNone = UINT64_MAX;
  // Headers and framing of a record, about, beside its subject, payload and header line.
  static constexpr uint64_t kRecordOverheadBytes = 90;

  enum class Verdict { kFits, kFull, kUnknown };

  Quota(Executor* executor, jetstream::Log* log, const Options& options,
        std::function<void()> on_answer);
  ~Quota();
  Quota(const Quota&) = delete;
  Quota& operator=(const Quota&) = delete;

  // What is there when something that takes `cost` bytes is judged.
  struct Load {
    uint64_t held_bytes = 0;     // by the store
    uint64_t pending_bytes = 0;  // on their way to the stream
  };
  [[nodiscard]] Verdict Judge(uint64_t cost, const Load& load);
  // These are not pending any more, they are in the stream.
  void OnLanded(uint64_t bytes) { landed_ += bytes; }

  // After kFull: what is in the way, one line for people.
  [[nodiscard]] std::string why() const { return why_; }

 private:
  static constexpr std::chrono::seconds kPeriod{1};
  static constexpr std::chrono::milliseconds kFresh{100};
  static constexpr std::chrono::seconds kPatience{1};

  void Ask();
  void OnRoom(uint64_t number, uint64_t landed, absl::StatusOr<jetstream::RoomInfo> room);
  void LosePatience();
  // True: there is room by what is known.
  [[nodiscard]] bool HasRoom(uint64_t cost, uint64_t pending_bytes);
  [[nodiscard]] uint64_t ReserveBytes() const;
  [[nodiscard]] uint64_t since() const { return landed_ - landed_at_question_; }

  Executor* const executor_;
  jetstream::Log* const log_;
  const Options options_;
  const std::function<void()> on_answer_;

  bool known_ = false;  // room_ is an answer
  jetstream::RoomInfo room_;
  uint64_t landed_ = 0;              // ever
  uint64_t landed_at_question_ = 0;  // of the question that room_ answers
  MonoTime answered_{};
  MonoTime blind_until_{};  // the log did not answer: nothing is refused here
  uint64_t question_ = 0;   // number of the newest
  bool asking_ = false;
  bool waited_for_ = false;  // somebody was told kUnknown
  MonoTime asked_{};
  TimerId patience_ = 0;
  std::string why_;
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_QUOTA_H_
