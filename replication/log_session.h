// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_LOG_SESSION_H_
#define JETD_REPLICATION_LOG_SESSION_H_

#include <atomic>
#include <chrono>
#include <functional>

#include "absl/status/status.h"
#include "jetstream/log.h"
#include "jetstream/nats_log.h"

namespace jetd::replication {

struct Patience {
  std::chrono::seconds connect{30};  // for a connection, the first and each that is lost
  std::chrono::seconds end{300};     // for the end of the work; 0: for ever
  // Cancelled soon after it becomes true; null: never.
  const std::atomic<bool>* interrupted = nullptr;
};

// DeadlineExceeded, with what was in the way of the log if it knows.
[[nodiscard]] absl::Status NoConnection(std::chrono::seconds patience,
                                        const jetstream::NatsLog& log);

// Opens a log on a loop of its own, which runs on the calling thread, and begins `work` there once
// it is connected. Blocks until `done` is called with how it ended, the log gives up, or patience
// is at its end (DeadlineExceeded). After that nothing of the log's is called any more.
using LogWorkFn = std::function<void(jetstream::NatsLog* log, const jetstream::LogInfo& info,
                                     std::function<void(absl::Status)> done)>;
[[nodiscard]] absl::Status RunOnLog(jetstream::NatsLogOptions options, const Patience& patience,
                                    const LogWorkFn& work);

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_LOG_SESSION_H_
