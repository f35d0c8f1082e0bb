// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_DURABILITY_H_
#define JETD_JETSTREAM_DURABILITY_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"

namespace jetd::jetstream {

// What a NatsLog asks of whoever makes the stream survive a power cut; without one, the server's
// own promise is what there is. Called on the engine thread, which the callbacks come on too, never
// from inside a call. There is no failure: what cannot be made safe must not be answered, so an
// implementation ends the process.
class Durability {
 public:
  using SafeFn = std::function<void()>;

  virtual ~Durability() = default;
  // Asked before a stream is made because the server knows none: an error says why that would harm.
  [[nodiscard]] virtual absl::Status MayCreate() const = 0;
  // The stream is made next: what an earlier making of it has left in part goes away.
  [[nodiscard]] virtual absl::Status RemoveRemains() = 0;
  // The stream was found, or made, on a new connection. `safe`: all of it that was there before
  // the call is, with its configuration.
  virtual void SyncStream(SafeFn safe) = 0;
  // `safe`: every record that was answered before the call is.
  virtual void SyncAppends(SafeFn safe) = 0;
  // `safe`: every deletion that was answered before the call is.
  virtual void SyncDeletes(SafeFn safe) = 0;
  // The number of the newest file that holds records, as the last call that was done saw it; it
  // grows with each new file. 0 before the first. See NatsLog::Delete.
  [[nodiscard]] virtual uint64_t NewestBlock() const = 0;
  // One line for people, "" if there is nothing to say: see LogInfo::durability_caveat.
  [[nodiscard]] virtual std::string Caveat() const = 0;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_DURABILITY_H_
