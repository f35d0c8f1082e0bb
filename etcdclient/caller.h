// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDCLIENT_CALLER_H_
#define JETD_ETCDCLIENT_CALLER_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "etcdclient/methods.h"

namespace jetd::etcdclient {

// One unary call that is made again and again: its messages keep their memory, and no other thread
// is involved. Made by Caller::NewCall and gone before its Caller.
//
//   call->request().set_key("a");
//   call->Start([&](const absl::Status& status) { ... call->response() ... });
//
// One call at a time: Start again only after `done` ran (inside it is fine). Destroying it before
// `done` ran is an error.
template <typename Request>
class ReusableCall {
 public:
  using Done = std::function<void(const absl::Status&)>;

  explicit ReusableCall(Done done) : done_(std::move(done)) {}
  virtual ~ReusableCall() = default;

  [[nodiscard]] Request& request() { return request_; }
  // Of the last call, if it ended well.
  [[nodiscard]] const ResponseOf<Request>& response() const { return response_; }

  virtual void Start() = 0;
  // `done` still runs, soon and with Cancelled, if a call is under way.
  virtual void Cancel() = 0;

 protected:
  const Done done_;
  Request request_;
  ResponseOf<Request> response_;
};

// One stream whose messages are read into the same memory. What is sent waits in order. on_end is
// the last callback; destroying a stream before it ran is an error.
template <typename Request, typename Response>
class ReusableStream {
 public:
  struct Handler {
    std::function<void(const Response&)> on_message{};
    std::function<void(const absl::Status&)> on_end{};
  };

  explicit ReusableStream(Handler handler) : handler_(std::move(handler)) {}
  virtual ~ReusableStream() = default;

  virtual void Send(Request request) = 0;
  virtual void CloseSend() = 0;
  virtual void Cancel() = 0;

 protected:
  const Handler handler_;
};

// Caller makes many calls for little CPU, for load generators: a few connections, one completion
// queue, and the thread that calls RunOnce runs every callback. Client (client.h) is the
// comfortable one.
//
// Thread rules: RunOnce from one thread at a time. Start, Send and Cancel from any thread, one at a
// time per call or stream. Destroy it on the thread that ran it, with nothing under way.
class Caller {
 public:
  struct Options {
    // As Client's.
    std::string endpoint = "http://127.0.0.1:2379";
    std::string ca_file{}, cert_file{}, key_file{};
    int connections = 1;
    // A connection with calls under way is pinged when it was silent for so long; 0: never.
    std::chrono::milliseconds keepalive{0};
  };

  // Does not wait for the server. Errors as of Client::Connect.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Caller>> Connect(const Options& options);
  virtual ~Caller() = default;

  // `connection` counts from 0 and wraps around.
  template <typename Request>
  [[nodiscard]] std::unique_ptr<ReusableCall<Request>> NewCall(
      int connection, typename ReusableCall<Request>::Done done);
  // Opens the stream at once.
  template <typename Request, typename Response>
  [[nodiscard]] std::unique_ptr<ReusableStream<Request, Response>> NewStream(
      int connection, typename ReusableStream<Request, Response>::Handler handler);

  // Waits for one callback and runs it. False if none came until the deadline.
  virtual bool RunOnce(std::chrono::steady_clock::time_point deadline) = 0;

 protected:
  Caller() = default;
};

}  // namespace jetd::etcdclient

#endif  // JETD_ETCDCLIENT_CALLER_H_
