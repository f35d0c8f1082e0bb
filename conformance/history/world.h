// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_HISTORY_WORLD_H_
#define JETD_CONFORMANCE_HISTORY_WORLD_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "conformance/history/key_space.h"
#include "conformance/history/operation.h"
#include "conformance/history/violations.h"

namespace jetd::conformance::history {

// What a history is taken of: the servers of one store, the network, and what happens to them. The
// owner of the run's clients makes it, starts it, and is the one thread that calls it.
class World {
 public:
  struct Fault {
    std::string name;
    size_t after = 0;  // so many operations of the window
    // Does it, and blocks for as long as it lasts. An error: the run cannot go on.
    std::function<absl::Status()> inflict;
  };

  virtual ~World() = default;

  // Until clients are answered.
  [[nodiscard]] virtual absl::Status Start() = 0;
  // Where clients connect, one for each member. From Start on, always the same.
  [[nodiscard]] virtual std::vector<std::string> endpoints() const = 0;
  // For the next window, of so many operations, in order.
  [[nodiscard]] virtual std::vector<Fault> NextFaults(size_t operations) = 0;
  // OK while every program runs that should.
  [[nodiscard]] virtual absl::Status CheckRunning() = 0;
  // Until every member answers linearizable reads again.
  [[nodiscard]] virtual absl::Status WaitReady() = 0;
  // What counts in the stream, whatever a server says: the transactions first..last. None if there
  // is no stream to read. Called when no client asks anything, so that servers may be stopped.
  [[nodiscard]] virtual absl::StatusOr<std::optional<std::vector<Transaction>>> ReadTruth(
      const KeySpace& keys, int64_t first, int64_t last) = 0;
  // What the faults themselves have found wrong since the last call.
  [[nodiscard]] virtual Violations TakeViolations() { return {}; }
  // The end of what the servers wrote, for messages.
  [[nodiscard]] virtual std::string LogTail() const = 0;
};

}  // namespace jetd::conformance::history

#endif  // JETD_CONFORMANCE_HISTORY_WORLD_H_
