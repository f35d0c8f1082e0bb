// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDCLIENT_CLIENT_H_
#define JETD_ETCDCLIENT_CLIENT_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "etcdclient/methods.h"
#include "etcdclient/stream.h"

namespace jetd::etcdclient {

struct CallOptions {
  // From the call to its answer; then DeadlineExceeded, and a write may have happened.
  std::chrono::milliseconds timeout{10'000};
  // While the server cannot be reached: wait for it until the deadline, or fail at once.
  enum class Unreachable { kFail, kWait };
  Unreachable unreachable = Unreachable::kFail;
};

// Client is one connection to one etcd or jetd. The request's type names the call:
//
//   auto client = Client::Connect({.endpoint = "http://127.0.0.1:2379"});
//   pb::PutRequest put;
//   put.set_key("a");
//   put.set_value("1");
//   absl::StatusOr<pb::PutResponse> done = (*client)->Call(put);
//
//   auto watch = (*client)->OpenWatch();
//   watch->Send(...);
//   absl::StatusOr<pb::WatchResponse> first = watch->Next(std::chrono::seconds(1));
//
// Errors are the server's own: the absl code has the number of gRPC's, the message is the server's
// text to the letter. Nothing is tried again.
//
// Any thread may call any method. Call blocks its caller only; callbacks run on one thread of the
// client's, which must not be blocked. Destroying the client cancels what is under way and waits
// for the callbacks; its streams must be gone before.
class Client {
 public:
  struct Options {
    // http://host:port, https://host:port, unix:///absolute/path or unix://relative/path.
    std::string endpoint = "http://127.0.0.1:2379";
    // For https, PEM files: whom to trust (empty: the system's roots), and what to show.
    std::string ca_file{};
    std::string cert_file{};
    std::string key_file{};
    // What the server gave for a name and password (AuthenticateRequest); shown with every call.
    std::string token{};
  };

  // Does not wait for the server: its first call does. InvalidArgument for an endpoint of another
  // kind, NotFound for a file that cannot be read.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Client>> Connect(const Options& options);

  virtual ~Client() = default;

  template <typename Request>
  [[nodiscard]] absl::StatusOr<ResponseOf<Request>> Call(const Request& request,
                                                         const CallOptions& options = {});

  // `done` is called once. Calls do not overtake each other on the way to the server, but a server
  // may take calls of one connection in any order.
  template <typename Request>
  void CallAsync(const Request& request,
                 std::function<void(absl::StatusOr<ResponseOf<Request>>)> done,
                 const CallOptions& options = {});

  // A call by its path with bytes that need not be a message.
  [[nodiscard]] virtual absl::StatusOr<std::string> CallBytes(std::string_view path,
                                                              std::string_view request,
                                                              const CallOptions& options = {}) = 0;

  // RangeStream, its pieces merged.
  [[nodiscard]] absl::StatusOr<pb::RangeResponse> CallRangeStream(const pb::RangeRequest& request,
                                                                  const CallOptions& options = {});

  // Opens a stream, with a handler or to be read with Next().
  template <typename Request, typename Response>
  [[nodiscard]] std::unique_ptr<Stream<Request, Response>> Open(
      StreamHandler<Response> handler = {});
  [[nodiscard]] std::unique_ptr<WatchStream> OpenWatch(
      StreamHandler<pb::WatchResponse> handler = {}) {
    return Open<pb::WatchRequest, pb::WatchResponse>(std::move(handler));
  }
  [[nodiscard]] std::unique_ptr<KeepAliveStream> OpenKeepAlive(
      StreamHandler<pb::LeaseKeepAliveResponse> handler = {}) {
    return Open<pb::LeaseKeepAliveRequest, pb::LeaseKeepAliveResponse>(std::move(handler));
  }

 protected:
  Client() = default;
};

}  // namespace jetd::etcdclient

#endif  // JETD_ETCDCLIENT_CLIENT_H_
