// SPDX-License-Identifier: Apache-2.0
#include "replication/log_session.h"

#include <utility>

#include "base/loop.h"
#include "base/strings.h"
#include "jetstream/silent_observer.h"

namespace jetd::replication {
namespace {

// Works once, as soon as there is a connection.
class Session : public jetstream::SilentObserver {
 public:
  Session(jetstream::NatsLogOptions options, const LogWorkFn& work)
      : log_(&loop_, std::move(options)), work_(work) {}

  absl::Status Run(const Patience& patience) {
    connect_ = patience.connect;
    loop_.Post([this, patience] {
      log_.Open(this, [this](const absl::Status& why) { End(why); });
      loop_.RunAfter(connect_, [this] {
        if (!working_) End(NoConnection(connect_, log_));
      });
      if (patience.interrupted != nullptr) LookForInterrupt(patience.interrupted);
      if (patience.end.count() == 0) return;
      loop_.RunAfter(patience.end, [this, patience] {
        End(MakeStatus(absl::StatusCode::kDeadlineExceeded, "not at its end within ",
                       patience.end.count(), " s"));
      });
    });
    loop_.Run();
    return result_;
  }

  void OnConnected(const jetstream::LogInfo& info) override {
    loop_.Cancel(std::exchange(cut_, 0));
    if (std::exchange(working_, true)) return;
    work_(&log_, info, [this](const absl::Status& status) { End(status); });
  }

  // A work that may last for ever waits for its connection no longer than for the first one.
  void OnDisconnected(const absl::Status& /*why*/) override {
    if (cut_ == 0) cut_ = loop_.RunAfter(connect_, [this] { End(NoConnection(connect_, log_)); });
  }

 private:
  void LookForInterrupt(const std::atomic<bool>* interrupted) {
    constexpr std::chrono::milliseconds kPause{100};
    if (interrupted->load()) return End(absl::CancelledError("interrupted"));
    loop_.RunAfter(kPause, [this, interrupted] { LookForInterrupt(interrupted); });
  }
  void End(const absl::Status& result) {
    if (std::exchange(ended_, true)) return;
    result_ = result;
    // Not from inside a callback of the log.
    loop_.Defer([this] {
      log_.Close();
      loop_.Stop();
    });
  }

  Loop loop_;
  jetstream::NatsLog log_;
  const LogWorkFn& work_;
  std::chrono::seconds connect_{0};
  TimerId cut_ = 0;  // of the connection that was lost; 0: it is there, or never was
  bool working_ = false, ended_ = false;
  absl::Status result_ = absl::UnknownError("not begun");
};

}  // namespace

absl::Status NoConnection(std::chrono::seconds patience, const jetstream::NatsLog& log) {
  return MakeStatus(absl::StatusCode::kDeadlineExceeded, "no connection to NATS within ",
                    patience.count(), " s", log.trouble().empty() ? "" : ": ", log.trouble());
}

absl::Status RunOnLog(jetstream::NatsLogOptions options, const Patience& patience,
                      const LogWorkFn& work) {
  return Session(std::move(options), work).Run(patience);
}

}  // namespace jetd::replication
