// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_NATS_CONNECTION_H_
#define JETD_JETSTREAM_NATS_CONNECTION_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/loop.h"
#include "jetstream/nats_endpoint.h"
#include "jetstream/nats_message.h"

// nats.c's own tags, so that its header stays out of ours.
struct __natsConnection;  // NOLINT(bugprone-reserved-identifier): nats.c's name
struct __natsOptions;     // NOLINT(bugprone-reserved-identifier): nats.c's name

namespace jetd::jetstream {

// What a nats-server says about itself when it is connected to.
struct NatsServerInfo {
  std::string url;      // without secrets
  std::string version;  // "2.15.1"; empty if it could not be seen (TLS before the first byte)
  size_t max_payload_bytes = 0;
};

struct NatsConnectOptions {
  // What NATS's own clients use.
  static constexpr std::string_view kAnyInbox = "_INBOX";

  // The inbox is "<inbox_prefix>.<random token>".
  std::string inbox_prefix{kAnyInbox};
  std::chrono::milliseconds ping_interval{5'000};
};

// One connection to one nats-server, driven by a Loop, from its start to its end: it never connects
// anew, so that nothing sent on it can arrive out of an earlier life. nats.c reads and writes the
// socket only when the loop tells it to, and runs no thread of its own for it (its one timer thread
// sends the pings). A connection on which nothing comes for three intervals of its pings is lost;
// one that is slow is not.
//
// Threads: Connect and the destructor block, up to the time given, and belong on a helper thread;
// everything between (Start … Stop) is called on the engine thread, and so is every callback.
class NatsConnection {
 public:
  using MessageFn = std::function<void(NatsMessage&)>;
  using ClosedFn = std::function<void(const absl::Status& why)>;
  struct HeaderLine {
    const char* name;
    const char* value;
  };

  // Any thread; blocks up to about twice `timeout`. Unavailable, or Unauthenticated if the server
  // refused the credentials. `loop` lives until the connection is gone.
  static absl::StatusOr<std::unique_ptr<NatsConnection>> Connect(
      Loop* loop, const NatsEndpoint& endpoint, const std::string& client_name,
      std::chrono::milliseconds timeout, const NatsConnectOptions& others = {});
  // Any thread, after Stop (or instead of Start). May block for half a second.
  ~NatsConnection();
  NatsConnection(const NatsConnection&) = delete;
  NatsConnection& operator=(const NatsConnection&) = delete;

  [[nodiscard]] const NatsServerInfo& server() const { return server_; }
  // Subjects below it, "<inbox>.<anything>", are this connection's alone.
  [[nodiscard]] const std::string& inbox() const { return inbox_; }

  // From here on messages arrive. `on_closed` comes at most once, never from inside a call: the
  // connection is lost, or something was asked that nobody listens to. (nats.c swallows the message
  // that says so, and with it what was asked; who asks here asks only what a working JetStream
  // answers.)
  void Start(ClosedFn on_closed);
  // Told, at most once, that the server is going to end: it ends its connections one by one, in a
  // minute or two, and takes no new ones (lame duck mode). Before Start.
  void set_on_lame_duck(std::function<void()> fn) { on_lame_duck_ = std::move(fn); }
  // Whether the socket is closed; on_closed may still be on its way, or have come without that.
  [[nodiscard]] bool closed() const;
  // What the server has refused this user in the last minute, a line each; "" if nothing. A line
  // comes a moment after what was refused, and names its subject (jetstream/no_answer.h).
  [[nodiscard]] std::string refusal() const;
  // No callback comes after it, and what was published and not yet sent is dropped.
  void Stop();

  // Returns a number for Unsubscribe. `on_message` may call anything here. With `on_unanswered`,
  // that nobody listens to what was asked with a reply here is told so, and is not the end of the
  // connection.
  uint64_t Subscribe(const std::string& subject, MessageFn on_message,
                     std::function<void()> on_unanswered = nullptr);
  void Unsubscribe(uint64_t subscription);

  // Sent by Flush, which the owner calls at the end of each round of the loop. On a connection that
  // is closed, or about to be told so, nothing happens. `reply` may be empty.
  void Publish(const std::string& subject, const std::string& reply, std::string_view payload,
               std::span<const HeaderLine> headers = {});
  void Flush();
  // How many messages were published since the last Flush.
  [[nodiscard]] size_t published() const { return published_; }

 private:
  struct Subscription;
  struct Link;
  class Links;
  struct EventCallbacks;

  explicit NatsConnection(Loop* loop);
  absl::Status Configure(__natsOptions* options, const NatsEndpoint& endpoint,
                         const std::string& client_name, std::chrono::milliseconds timeout,
                         std::chrono::milliseconds ping_interval);
  void LearnServer(const std::string& url, std::chrono::milliseconds timeout);
  void OnReady(Loop::Ready ready);
  void Drain();
  void WatchWrites(bool wanted);
  void CheckClosed();
  void OnLameDuck();
  void ListenForLife();
  void Lose(const std::string& why);

  // Constant after Connect.
  Loop* const loop_;
  std::shared_ptr<Link> link_;
  NatsServerInfo server_;
  std::string inbox_;
  std::chrono::milliseconds ping_interval_{0};
  __natsConnection* nc_ = nullptr;

  // The engine thread's.
  bool started_ = false;
  bool stopped_ = false;
  bool draining_ = false;
  bool watching_writes_ = false;
  size_t published_ = 0;
  int silent_intervals_ = 0;  // that have begun since something came
  TimerId life_timer_ = 0;
  ClosedFn on_closed_;
  std::function<void()> on_lame_duck_;
  uint64_t next_subscription_ = 1;
  MessageBin bin_;  // of what was sent and what was delivered
  std::vector<std::unique_ptr<Subscription>> subscriptions_;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_NATS_CONNECTION_H_
