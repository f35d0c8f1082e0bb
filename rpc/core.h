// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_CORE_H_
#define JETD_RPC_CORE_H_

#include <memory>
#include <vector>

#include "base/executor.h"
#include "base/limits.h"
#include "rpc/bounds.h"
#include "rpc/byte_budget.h"
#include "rpc/methods.h"
#include "rpc/options.h"
#include "rpc/timer_wheel.h"

struct nghttp2_session_callbacks;
struct nghttp2_option;

namespace jetd::rpc {

struct FreeHttp2 {
  void operator()(nghttp2_session_callbacks* callbacks) const;
  void operator()(nghttp2_option* option) const;
};

// Core is what all connections of a transport share. Engine thread; it outlives them.
struct Core {
  // `executor` and `methods` outlive it.
  Core(Executor* executor, const Methods* methods, const TransportOptions& options);
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  Executor* const executor;
  const Methods* const methods;
  const TransportOptions options;
  const std::unique_ptr<nghttp2_session_callbacks, FreeHttp2> callbacks;
  const std::unique_ptr<nghttp2_option, FreeHttp2> session_options;
  TimerWheel wheel;
  ByteBudget incoming{limits::kMaxIncomingBytes};
  ByteBudget unsent{kMaxUnsentBytes};
  std::vector<char> spare_output;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_CORE_H_
