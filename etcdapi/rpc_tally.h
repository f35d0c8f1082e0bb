// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_RPC_TALLY_H_
#define JETD_ETCDAPI_RPC_TALLY_H_

#include <array>
#include <cstdint>
#include <memory>

#include "base/duration_histogram.h"
#include "google/protobuf/descriptor.h"
#include "rpc/status.h"

namespace jetd::etcdapi {

// What was counted of one RPC since the start. Plain integers: all of it is counted on the engine
// thread, and read there.
struct RpcTally {
  static constexpr size_t kCodes = 17;  // gRPC's status codes are 0 to 16

  const google::protobuf::MethodDescriptor* method = nullptr;
  uint64_t started = 0;
  uint64_t messages_received = 0, bytes_received = 0;
  uint64_t messages_sent = 0, bytes_sent = 0;
  uint64_t ok = 0;
  // By code; null while all went well, which most methods do.
  std::unique_ptr<std::array<uint64_t, kCodes>> failed;
  // From a request's arrival until its answer is with the transport; null: not wanted
  // (--metrics=basic).
  std::unique_ptr<DurationHistogram> seconds;

  void CountEnd(rpc::Code code) {
    if (code == rpc::Code::kOk) {
      ++ok;
      return;
    }
    if (failed == nullptr) failed = std::make_unique<std::array<uint64_t, kCodes>>();
    const auto index = static_cast<size_t>(code);
    ++(*failed)[index < kCodes ? index : static_cast<size_t>(rpc::Code::kUnknown)];
  }
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_RPC_TALLY_H_
