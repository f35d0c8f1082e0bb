// SPDX-License-Identifier: Apache-2.0
#include "rpc/http2_events.h"

#include <string_view>

#include "base/check.h"
#include "base/limits.h"
#include "rpc/stream.h"

namespace jetd::rpc {
namespace {

constexpr size_t kFrameHeadBytes = 9;

// Null: one of those that Connection does not know (any more).
Stream* StreamOf(nghttp2_session* session, int32_t id) {
  return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, id));
}

bool IsRequest(const nghttp2_frame* frame) {
  return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}

std::string_view TextOf(const uint8_t* data, size_t bytes) {
  return {reinterpret_cast<const char*>(data), bytes};
}

}  // namespace

int Http2Events::OnBeginHeaders(nghttp2_session* session, const nghttp2_frame* frame,
                                void* connection) {
  if (!IsRequest(frame)) return 0;
  auto* const self = static_cast<Connection*>(connection);
  const int32_t id = frame->hd.stream_id;
  // The farewell, which may not be on its way yet, says that nothing is done for this one, and
  // closes it. gRPC C++ sends such: it puts its pong in front of calls that it had begun before it
  // read the notice.
  if (self->said_farewell_) return 0;
  return nghttp2_session_set_stream_user_data(session, id, self->Add(id));
}

int Http2Events::OnHeader(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name,
                          size_t name_bytes, const uint8_t* value, size_t value_bytes,
                          uint8_t /*flags*/, void* /*connection*/) {
  if (!IsRequest(frame)) return 0;
  Stream* const stream = StreamOf(session, frame->hd.stream_id);
  if (stream == nullptr) return 0;
  const bool fits = stream->head().Add(TextOf(name, name_bytes), TextOf(value, value_bytes));
  return fits ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // which resets the stream
}

int Http2Events::OnFrame(nghttp2_session* session, const nghttp2_frame* frame, void* connection) {
  auto* const self = static_cast<Connection*>(connection);
  switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA: {
      Stream* const stream = StreamOf(session, frame->hd.stream_id);
      if (stream == nullptr) return 0;
      if (IsRequest(frame)) stream->OnHead();
      if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) stream->OnHalfClosed();
      return 0;
    }
    case NGHTTP2_PING:
      self->OnPing((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0, frame->ping.opaque_data);
      return 0;
    case NGHTTP2_SETTINGS:
      self->OnSettings();
      return 0;
    default:
      return 0;
  }
}

int Http2Events::OnData(nghttp2_session* session, uint8_t /*flags*/, int32_t id,
                        const uint8_t* data, size_t bytes, void* connection) {
  Stream* const stream = StreamOf(session, id);
  if (stream == nullptr) {
    static_cast<Connection*>(connection)->Consume(id, bytes);
  } else {
    stream->OnBytes(TextOf(data, bytes));
  }
  return 0;
}

int Http2Events::OnStreamClosed(nghttp2_session* session, int32_t id, uint32_t /*error*/,
                                void* /*connection*/) {
  Stream* const stream = StreamOf(session, id);
  if (stream == nullptr) return 0;
  nghttp2_session_set_stream_user_data(session, id, nullptr);
  stream->OnGone();
  return 0;
}

int Http2Events::OnFrameSent(nghttp2_session* session, const nghttp2_frame* frame,
                             void* connection) {
  if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
  static_cast<Connection*>(connection)->pings_.Sent();
  if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
  const int32_t id = frame->hd.stream_id;
  if (Stream* const stream = StreamOf(session, id); stream != nullptr) stream->OnEndSent();
  if (nghttp2_session_get_stream_remote_close(session, id) != 0) return 0;
  // The client may still be sending; this tells it that nobody wants to know.
  return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR);
}

ssize_t Http2Events::OfferMessage(nghttp2_session* /*session*/, int32_t /*id*/, uint8_t* /*buffer*/,
                                  size_t most, uint32_t* flags, nghttp2_data_source* source,
                                  void* connection) {
  auto* const stream = static_cast<Stream*>(source->ptr);
  bool last = false;
  const size_t bytes = stream->Offer(most, &last);
  if (bytes == 0) return NGHTTP2_ERR_DEFERRED;
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (last) {
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    static_cast<Connection*>(connection)->SendTrailers(stream);
  }
  return static_cast<ssize_t>(bytes);
}

int Http2Events::PutMessage(nghttp2_session* /*session*/, nghttp2_frame* /*frame*/,
                            const uint8_t* head, size_t bytes, nghttp2_data_source* source,
                            void* connection) {
  auto* const self = static_cast<Connection*>(connection);
  static_cast<Stream*>(source->ptr)->Put(TextOf(head, kFrameHeadBytes), bytes, &self->output());
  // Otherwise the library goes on while windows are open.
  return self->may_fill() ? 0 : NGHTTP2_ERR_PAUSE;
}

nghttp2_session_callbacks* Http2Events::MakeCallbacks() {
  nghttp2_session_callbacks* callbacks = nullptr;
  JETD_CHECK(nghttp2_session_callbacks_new(&callbacks) == 0) << "out of memory";
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, &OnBeginHeaders);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, &OnHeader);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, &OnFrame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, &OnData);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, &OnStreamClosed);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, &OnFrameSent);
  nghttp2_session_callbacks_set_send_data_callback(callbacks, &PutMessage);
  return callbacks;
}

nghttp2_option* Http2Events::MakeOptions() {
  nghttp2_option* options = nullptr;
  JETD_CHECK(nghttp2_option_new(&options) == 0) << "out of memory";
  // Windows open as handlers read.
  nghttp2_option_set_no_auto_window_update(options, 1);
  // No priorities: nothing is kept of streams that are closed.
  nghttp2_option_set_no_closed_streams(options, 1);
  nghttp2_option_set_max_outbound_ack(options, limits::kMaxWaitingAcks);
  nghttp2_option_set_stream_reset_rate_limit(options, limits::kResetBurst,
                                             limits::kResetsPerSecond);
  return options;
}

}  // namespace jetd::rpc
