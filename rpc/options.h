// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_OPTIONS_H_
#define JETD_RPC_OPTIONS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/limits.h"

namespace jetd::rpc {

// What a transport is told once. A value.
struct TransportOptions {
  // Larger messages are refused with grpc-go's text (RESOURCE_EXHAUSTED).
  size_t max_message_bytes = 0;
  // As etcd's --grpc-keepalive-…: pings more often than min_time end a connection
  // (ENHANCE_YOUR_CALM, "too_many_pings"), a silent one is asked for a sign of life.
  std::chrono::milliseconds keepalive_min_time{5'000};
  std::chrono::milliseconds keepalive_interval{2 * 60 * 60 * 1'000};
  std::chrono::milliseconds keepalive_timeout{20'000};
  // Calls of one connection at a time (etcd's --max-concurrent-streams). Beyond: the client waits,
  // as HTTP/2 tells it to; one that does not is refused (REFUSED_STREAM).
  uint32_t max_concurrent_streams = limits::kMaxStreams;
  // From accept until a client has spoken HTTP/2, its TLS handshake included. Beyond: closed.
  std::chrono::milliseconds greeting_timeout = limits::kGreetingPatience;
  // Beyond, clients wait in the kernel's backlog. 0: as many as the process may have descriptors,
  // but for kSpareDescriptors.
  size_t max_connections = 0;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_OPTIONS_H_
