// SPDX-License-Identifier: Apache-2.0
//
// What the suite does to both servers, one step after the other.
#ifndef JETD_CONFORMANCE_DIFFERENTIAL_STEP_H_
#define JETD_CONFORMANCE_DIFFERENTIAL_STEP_H_

#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "base/etcdpb/rpc.pb.h"

namespace jetd::conformance::differential {

namespace pb = ::etcdserverpb;

// RangeStream where the server has it, otherwise Range: the merged answers must be equal.
struct StreamedRange {
  pb::RangeRequest request;
};

// A call with bytes that need not be a message.
struct RawCall {
  std::string path;
  std::string bytes;
};

// A create or a cancel on a watch stream; the stream is opened when it is first used. Its answer is
// the response with `created` or `canceled`.
struct WatchControl {
  int stream = 0;
  pb::WatchRequest request;
  bool answered = true;  // false: a request to which etcd says nothing
};

// A progress request on a stream, sent when all events are delivered.
struct WatchProgress {
  int stream = 0;
};

// Waits for a progress notification by interval on a watch that asked for them.
struct AwaitNotification {
  int stream = 0;
  int64_t watch_id = 0;
};

struct CloseWatchStream {
  int stream = 0;
};

// Waits until a lease has expired on both sides, while nothing else is asked.
struct AwaitExpiry {
  int64_t lease = 0;
};

// SIGKILL for both servers, and a start on the same data. Their watch streams are gone.
struct KillServers {};

using Call = std::variant<
    pb::RangeRequest, StreamedRange, pb::PutRequest, pb::DeleteRangeRequest, pb::TxnRequest,
    pb::CompactionRequest, pb::LeaseGrantRequest, pb::LeaseRevokeRequest, pb::LeaseKeepAliveRequest,
    pb::LeaseTimeToLiveRequest, pb::LeaseLeasesRequest, pb::StatusRequest, pb::HashRequest,
    pb::HashKVRequest, pb::DefragmentRequest, pb::AlarmRequest, pb::MemberListRequest, RawCall,
    WatchControl, WatchProgress, AwaitNotification, CloseWatchStream, AwaitExpiry, KillServers>;

struct Step {
  Call call;
  // For a lease granted with id 0: the id by which the suite knows it, since each server chooses
  // its own.
  int64_t known_as = 0;
  // The watch events of everything before are compared before this step is taken.
  bool settle_first = false;
  // For etcd only or the other side only: what the other cannot be asked.
  enum class Sides { kBoth, kServerOnly };
  Sides sides = Sides::kBoth;
  // With kServerOnly: the answer that there must be.
  absl::Status expected;
};

// What a server answered: a status and, if that is OK, a message.
struct Answer {
  absl::Status status;
  std::unique_ptr<google::protobuf::Message> message;
};

// "Put", "RangeStream", "Watch.create": the name of the call in tables and reports.
[[nodiscard]] std::string NameOf(const Call& call);
// The request as text, cut to `limit` bytes.
[[nodiscard]] std::string TextOf(const Call& call, size_t limit = 4000);
[[nodiscard]] std::string TextOf(const Answer& answer, size_t limit = 4000);

}  // namespace jetd::conformance::differential

#endif  // JETD_CONFORMANCE_DIFFERENTIAL_STEP_H_
