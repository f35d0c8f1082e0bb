// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_RELAY_RELAYED_CONNECTION_H_
#define JETD_CONFORMANCE_RELAY_RELAYED_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "base/loop.h"
#include "conformance/relay/relay.h"

namespace jetd::conformance {

// One connection through a Relay: two sockets, and a pipe in each direction. The relay's thread's
// alone; the relay owns it and outlives it.
class RelayedConnection {
 public:
  enum class End { kReset, kOrderly };

  // Takes both sockets; the one to the target may still be connecting.
  RelayedConnection(Relay* relay, uint64_t number, int client_fd, int target_fd);
  ~RelayedConnection();
  RelayedConnection(const RelayedConnection&) = delete;
  RelayedConnection& operator=(const RelayedConnection&) = delete;

  // How its sockets end with this object. By default both with a reset.
  void set_end(Relay::Direction receiver_of, End end);
  // From now on nothing passes here, whatever the relay lets pass, until it is let go.
  void set_held_alone(bool held) { held_alone_ = held; }
  // After the relay's conditions have changed: waits for what now counts, sends what may be sent.
  void Update();

 private:
  struct Chunk {
    MonoTime due{0};
    std::string bytes;
  };
  struct Pipe {
    Relay::Direction direction = Relay::Direction::kUp;
    std::deque<Chunk> chunks{};
    size_t buffered_bytes = 0;
    bool source_ended = false;
    bool sink_told = false;  // of the source's end
    bool sink_full = false;  // its socket takes no more for now
    MonoTime not_before{0};  // when throttled
    TimerId timer = 0;
  };
  struct Side {
    int fd = -1;
    Loop::Ready watched{};
    End end = End::kReset;
  };

  void OnReady(size_t side, Loop::Ready ready);
  void OnConnected();
  [[nodiscard]] bool Held(const Pipe& pipe) const;
  void Read(Pipe& pipe);
  void Send(Pipe& pipe);
  // How many bytes of the first chunk may go now; 0 if none, and then it is known when to look
  // again.
  [[nodiscard]] size_t MaySend(Pipe& pipe);
  void LookAgain(Pipe& pipe, MonoTime when);
  void UpdateSide(size_t side);
  void Finish();
  [[nodiscard]] Side& SourceOf(const Pipe& pipe) { return sides_[Relay::Index(pipe.direction)]; }
  [[nodiscard]] Side& SinkOf(const Pipe& pipe) { return sides_[1 - Relay::Index(pipe.direction)]; }

  Relay* const relay_;
  const uint64_t number_;
  bool connected_ = false;
  bool held_alone_ = false;
  bool finished_ = false;
  Side sides_[2];  // the client, the target
  Pipe pipes_[2];  // up, down
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_RELAY_RELAYED_CONNECTION_H_
