// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_POWER_MOMENT_H_
#define JETD_CONFORMANCE_POWER_MOMENT_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <string>

#include "conformance/power/mount.h"

namespace jetd::conformance::power {

// When the power is cut.
enum class Moment {
  kAnyTime,     // under load
  kSync,        // while a block is being synced
  kRollOver,    // when a new block is made
  kRemoval,     // when an empty block is removed
  kRewrite,     // when a block is replaced by one without its garbage
  kValueFile,   // when a value file is made, written or removed
  kStop,        // at any time of a clean stop
  kCheckpoint,  // when the checkpoint is written, synced or named
  kStopped,     // after a clean stop
  kStart,       // at any time of a start
  kKilled,      // soon after both programs were killed and started again, and clients have read
};
constexpr int kMoments = 11;

[[nodiscard]] const char* NameOf(Moment moment);
[[nodiscard]] Moment PickMoment(std::mt19937_64& random);
// Whether jetd is told to end first.
[[nodiscard]] bool EndsServer(Moment moment);
// The operation of the file system at which it is; null for one that is a time only. `*met` is
// raised when it came.
[[nodiscard]] Mount::Matches OperationOf(Moment moment, std::mt19937_64& random,
                                         std::shared_ptr<std::atomic<bool>> met);

// "7.blk", a block of a stream.
[[nodiscard]] bool IsBlock(const std::string& name);

}  // namespace jetd::conformance::power

#endif  // JETD_CONFORMANCE_POWER_MOMENT_H_
