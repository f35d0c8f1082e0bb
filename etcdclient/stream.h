// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDCLIENT_STREAM_H_
#define JETD_ETCDCLIENT_STREAM_H_

#include <chrono>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "etcdclient/methods.h"

namespace jetd::etcdclient {

// What Next says after the last message of a stream that ended well, as an OutOfRange.
inline constexpr char kEndOfStream[] = "end of stream";

// Where a stream's messages go, instead of Next(). Both run on the client's own thread, one at a
// time: they must not block, nor destroy the stream.
template <typename Response>
struct StreamHandler {
  std::function<void(Response)> on_message{};
  // Last call: how the server (or Cancel, or a lost connection) ended the stream.
  std::function<void(absl::Status)> on_end{};
};

// Stream is one call with a stream in either direction or both: Watch, LeaseKeepAlive, RangeStream,
// Snapshot. Made by Client::Open; ends with its destructor, which cancels it and waits for its last
// callback. It must end before its client does.
//
// Any thread may call any method; Next from one thread at a time.
//
// Without a handler up to kMaxWaiting messages wait for Next(). When that many wait the stream
// reads no further, so that flow control reaches the server: this is how to be a slow client.
template <typename Request, typename Response>
class Stream {
 public:
  static constexpr size_t kMaxWaiting = 64;

  virtual ~Stream() = default;

  // Sends in order. What is sent after the stream's end is dropped.
  virtual void Send(Request request) = 0;
  // Nothing more will be sent; messages still come in.
  virtual void CloseSend() = 0;
  virtual void Cancel() = 0;
  // The next message. After the last one: how the stream ended, where OK is turned into OutOfRange
  // kEndOfStream. DeadlineExceeded "no message in time" leaves the stream as it was.
  [[nodiscard]] virtual absl::StatusOr<Response> Next(std::chrono::milliseconds timeout) = 0;
};

using WatchStream = Stream<pb::WatchRequest, pb::WatchResponse>;
using KeepAliveStream = Stream<pb::LeaseKeepAliveRequest, pb::LeaseKeepAliveResponse>;
using RangeStream = Stream<pb::RangeRequest, pb::RangeStreamResponse>;
using SnapshotStream = Stream<pb::SnapshotRequest, pb::SnapshotResponse>;

}  // namespace jetd::etcdclient

#endif  // JETD_ETCDCLIENT_STREAM_H_
