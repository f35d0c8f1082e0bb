// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_CLIENT_H_
#define JETD_RPC_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/loop.h"
#include "rpc/connection.h"
#include "rpc/core.h"
#include "rpc/timer_wheel.h"
#include "rpc/wire.h"

namespace jetd::rpc {

// Client is one client: its wire, watched by the loop, and the connection on it once it has begun
// to speak HTTP/2.
//
//   greeting (TLS) ─> preface ─> HTTP/2 ─> leaving ─> closed
//                            └─> HTTP/1: handed over, closed here
//
// It reads as bytes come, and writes in Turn, at the end of a round, all that its calls have said.
// Belongs to its owner. Engine thread.
class Client final : public Connection::Host {
 public:
  // What all clients of a transport share, and whoever lets them have their turns.
  class Owner {
   public:
    // `client` wants a Turn in this round.
    virtual void OnWork(Client* client) = 0;
    // … and one in the next.
    virtual void OnMoreWork(Client* client) = 0;
    // It is closed, and wants to be destroyed, not from inside this call.
    virtual void OnClosed(Client* client) = 0;
    // True if a step of a handshake may be made in this round; counts it. False: `client` is told
    // by Greet when its turn has come.
    [[nodiscard]] virtual bool MayGreet(Client* client) = 0;
    // A buffer of limits::kReceiveBytes, for the length of a call.
    [[nodiscard]] virtual char* buffer() = 0;
    // Takes a client that speaks HTTP/1. False: nobody is there for that.
    [[nodiscard]] virtual bool HandOver(Wire* wire, std::string received) = 0;

   protected:
    ~Owner() = default;
  };

  // All outlive it. The wire's socket is watched from here on.
  Client(Loop* loop, Core* core, Owner* owner, std::unique_ptr<Wire> wire);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Tells handlers what there is, makes frames of what they say, and writes them: by one call to
  // the system, unless there is a lot.
  void Turn();
  // A Turn in this round, of one that said OnMoreWork in the last.
  void Again();
  // A step of the handshake, of one that was told to wait for it. False: it has none to make.
  bool Greet();
  // See Connection::Drain. A client that has not spoken yet is closed.
  void Drain();
  // What is said by now is sent, and it is closed as soon as the client has taken that.
  void EndNow();
  // Its calls hear OnOver, many of them in later rounds. Not from inside a handler.
  void Close();
  // … all of them now.
  void CloseNow();
  [[nodiscard]] size_t calls() const { return connection_ == nullptr ? 0 : connection_->calls(); }

  // The owner's: where it keeps a client that wants more work.
  static constexpr size_t kNowhere = SIZE_MAX;
  size_t place = kNowhere;

 private:
  enum class Stage { kGreeting, kPreface, kHttp2, kLeaving, kClosed };

  void OnWork() override;
  [[nodiscard]] Status Admit() override { return wire_->Admit(); }
  void OnReady(Loop::Ready ready);
  void GreetOn();
  void OnReadable();
  void OnReceived(std::string_view bytes);
  void OnFirstBytes(std::string_view bytes);
  void OnSilence();
  void SayAll();
  // False: the client is gone.
  [[nodiscard]] bool Say();
  void Leave();
  void EndCalls(size_t most);
  void Watch();
  void WatchFor(Loop::Ready wanted);

  Loop* const loop_;
  Core* const core_;
  Owner* const owner_;
  const std::unique_ptr<Wire> wire_;
  std::unique_ptr<Connection> connection_;  // from kHttp2 on
  TimerWheel::Timer patience_;              // until it has greeted, and while it leaves
  std::string first_bytes_;
  Stage stage_;
  Loop::Ready watched_{.readable = true};
  bool waits_ = false;     // for a step of its handshake
  bool ending_ = false;    // all is said, but not all is with the socket
  bool closed_ = false;    // the owner knows
  bool blocked_ = false;   // the socket takes nothing now
  bool has_turn_ = false;  // the owner knows
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_CLIENT_H_
