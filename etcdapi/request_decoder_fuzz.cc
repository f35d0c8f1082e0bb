// SPDX-License-Identifier: Apache-2.0
//
// Bytes from a client: whatever they are, decoding and checking them must not crash, and what
// etcd's rules refuse must not be taken. The first byte chooses the kind of request.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/check.h"
#include "base/limits.h"
#include "etcdapi/request_check.h"
#include "etcdapi/request_decoder.h"
#include "etcdapi/wire_check.h"

namespace jetd::etcdapi {
namespace {

constexpr RequestLimits kLimits{.max_request_bytes = limits::kMaxRequestBytes,
                                .max_txn_ops = limits::kMaxTxnOps};

template <typename Request>
bool Parse(std::string_view bytes, Request* request) {
  const bool taken = ParseRequest(rpc::Message(rpc::Slice::Copy(bytes)), request).ok();
  // C++ forgets a member of a oneof, and what was wrong with it, when another one follows.
  const bool has_oneof = Request::descriptor()->oneof_decl_count() > 0 ||
                         std::is_same_v<Request, etcdserverpb::TxnRequest>;
  JETD_CHECK(!taken || has_oneof || FindWireError(*Request::descriptor(), bytes).empty())
      << FindWireError(*Request::descriptor(), bytes);
  return taken;
}

template <typename Request>
void TryRequest(std::string_view bytes) {
  Request request;
  if (!Parse(bytes, &request)) return;
  if constexpr (std::is_same_v<Request, etcdserverpb::TxnRequest>) {
    if (!Check(request, kLimits).has_value()) (void)ToOp(request);
  } else if constexpr (std::is_same_v<Request, etcdserverpb::WatchRequest>) {
    (void)ToCreate(request.create_request());
  } else {
    if (!Check(request).has_value()) (void)ToOp(request);
  }
}

void TryAny(std::string_view bytes) {
  if (bytes.empty()) return;
  const std::string_view rest = bytes.substr(1);
  switch (static_cast<uint8_t>(bytes[0]) % 5) {
    case 0:
      return TryRequest<etcdserverpb::RangeRequest>(rest);
    case 1:
      return TryRequest<etcdserverpb::PutRequest>(rest);
    case 2:
      return TryRequest<etcdserverpb::DeleteRangeRequest>(rest);
    case 3:
      return TryRequest<etcdserverpb::TxnRequest>(rest);
    default:
      return TryRequest<etcdserverpb::WatchRequest>(rest);
  }
}

}  // namespace
}  // namespace jetd::etcdapi

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  jetd::etcdapi::TryAny({reinterpret_cast<const char*>(data), size});
  return 0;
}
