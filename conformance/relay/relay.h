// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_RELAY_RELAY_H_
#define JETD_CONFORMANCE_RELAY_RELAY_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/loop.h"

namespace jetd::conformance {

class RelayedConnection;

// Relay is the network between two programs of a test: a port of 127.0.0.1 that passes every
// connection on to another one, and does to them what networks do.
//
//   auto relay = Relay::Start(4222);   // a program connects to (*relay)->port() instead
//   (*relay)->Hold(Relay::Direction::kUp);
//   ...
//   (*relay)->Release();
//
// Up is from who connects to the target, down is back. What is held is not lost: it lies in the
// relay's and the kernel's buffers, some megabytes, and so does the end of a connection; Release
// lets it through, late, unless the connection was cut meanwhile. To who connects while it is held,
// the relay is a server that says nothing.
//
// Thread rules: any thread; every call returns when it is so. The relay has a thread of its own.
class Relay {
 public:
  enum class Direction : uint8_t { kUp, kDown };
  struct Counts {
    size_t accepted = 0;  // connections since the start
    size_t open = 0;
    size_t cut = 0;  // ended by Cut, CutAfter and Refuse
    uint64_t up_bytes = 0;
    uint64_t down_bytes = 0;
  };

  // `target_port` on 127.0.0.1; nobody need listen there yet. Unavailable without a free port.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Relay>> Start(int target_port);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // The same all the time.
  [[nodiscard]] int port() const { return port_; }

  // Ends all connections at once, with a reset; what lies in the relay is lost.
  void Cut();
  // Lets so many bytes more through in this direction, all connections together; whatever comes
  // behind them is lost, and all connections end with it.
  void CutAfter(Direction direction, size_t bytes);
  // Whether that has happened.
  [[nodiscard]] bool cut_is_due();
  // From now on nothing passes in this direction.
  void Hold(Direction direction);
  // Nothing passes on the connections that there are; new ones are not concerned.
  void HoldPresent();
  // Every byte comes so much later, in order.
  void Delay(std::chrono::milliseconds delay);
  // In each direction of each connection.
  void Throttle(size_t bytes_per_second);
  // Ends all connections and takes no new ones, until Release: connecting is refused.
  void Refuse();
  // The network as it should be. What was held comes through.
  void Release();

  [[nodiscard]] Counts counts();

 private:
  friend class RelayedConnection;

  explicit Relay(int target_port);
  [[nodiscard]] absl::Status Bind();
  [[nodiscard]] absl::Status Listen();
  void StopListening();
  // Runs on the relay's thread; waits for it.
  void Do(const std::function<void()>& fn);
  void Accept();
  void CutAll();
  void UpdateAll();
  // A connection that has ended; not from inside a call of Relay's.
  void Remove(uint64_t number);

  // What RelayedConnection asks before it passes something on.
  [[nodiscard]] bool held(Direction direction) const { return held_[Index(direction)]; }
  [[nodiscard]] std::chrono::nanoseconds delay() const { return delay_; }
  [[nodiscard]] size_t bytes_per_second() const { return bytes_per_second_; }
  // Of `wanted` bytes, how many may pass. 0: everything is being cut.
  [[nodiscard]] size_t Pass(Direction direction, size_t wanted);
  void NotePassed(Direction direction, size_t bytes);
  [[nodiscard]] static size_t Index(Direction direction) {
    return direction == Direction::kUp ? 0 : 1;
  }

  const int target_port_;
  int port_ = 0;

  // The relay's thread's.
  Loop loop_;
  int listener_ = -1;
  bool listening_ = false;
  bool held_[2] = {false, false};
  std::chrono::nanoseconds delay_{0};
  size_t bytes_per_second_ = 0;  // 0: any number
  bool limited_[2] = {false, false};
  size_t left_[2] = {0, 0};  // with limited_: bytes until everything is cut
  bool cut_is_due_ = false;
  Counts counts_;
  uint64_t next_number_ = 1;
  std::map<uint64_t, std::unique_ptr<RelayedConnection>> connections_;

  std::thread thread_;
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_RELAY_RELAY_H_
