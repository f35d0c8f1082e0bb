// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_HTTP2_EVENTS_H_
#define JETD_RPC_HTTP2_EVENTS_H_

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>

#include "rpc/connection.h"

namespace jetd::rpc {

// Http2Events is what nghttp2 calls, in its own terms, and passes it on to Connection and Stream.
// They run inside Connection::Receive and Fill. Only connection.cc and core.cc use it.
struct Http2Events {
  [[nodiscard]] static nghttp2_session_callbacks* MakeCallbacks();
  [[nodiscard]] static nghttp2_option* MakeOptions();

  // What a call's answer is read by.
  static ssize_t OfferMessage(nghttp2_session* session, int32_t id, uint8_t* buffer, size_t most,
                              uint32_t* flags, nghttp2_data_source* source, void* connection);

 private:
  static int OnBeginHeaders(nghttp2_session* session, const nghttp2_frame* frame, void* connection);
  static int OnHeader(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
                      size_t name_bytes, const uint8_t* value, size_t value_bytes, uint8_t flags,
                      void* connection);
  static int OnFrame(nghttp2_session* session, const nghttp2_frame* frame, void* connection);
  static int OnData(nghttp2_session* session, uint8_t flags, int32_t id, const uint8_t* data,
                    size_t bytes, void* connection);
  static int OnStreamClosed(nghttp2_session* session, int32_t id, uint32_t error, void* connection);
  static int OnFrameSent(nghttp2_session* session, const nghttp2_frame* frame, void* connection);
  static int PutMessage(nghttp2_session* session, nghttp2_frame* frame, const uint8_t* head,
                        size_t bytes, nghttp2_data_source* source, void* connection);
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_HTTP2_EVENTS_H_
