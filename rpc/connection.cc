// SPDX-License-Identifier: Apache-2.0
#include "rpc/connection.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "base/check.h"
#include "rpc/http2_events.h"

namespace jetd::rpc {
namespace {

constexpr uint8_t kNoCopy = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
// What the ping behind a farewell carries, to know its answer by.
constexpr std::array<uint8_t, 8> kFarewellPing = {'j', 'e', 't', 'd', ' ', 'b', 'y', 'e'};

// REQUIRES: both live until the frame is made, unless `flags` say otherwise for the value.
nghttp2_nv Field(std::string_view name, std::string_view value, uint8_t flags = kNoCopy) {
  return {const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(name.data())),
          const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(value.data())), name.size(),
          value.size(), flags};
}

nghttp2_nv StatusField(Code code) {
  static constexpr std::array<std::string_view, 17> kNumbers = {
      "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"};
  return Field("grpc-status", kNumbers.at(static_cast<size_t>(code)));
}

// As grpc-message carries it. One beyond some bound would not go into a frame, nor through clients.
std::string TextOf(const Status& status) {
  return PercentEncoded(std::string_view(status.message()).substr(0, kMaxStatusTextBytes));
}

// With a text that goes away: nghttp2 copies it.
nghttp2_nv MessageField(const std::string& text) {
  return Field("grpc-message", text, NGHTTP2_NV_FLAG_NO_COPY_NAME);
}

std::string_view HttpStatusText(int http_status) {
  switch (http_status) {
    case 400:
      return "400";
    case 405:
      return "405";
    case 415:
      return "415";
    default:
      return "200";
  }
}

void Submitted(int result) {
  // The others are of streams that are gone meanwhile.
  JETD_CHECK(result != NGHTTP2_ERR_NOMEM) << "out of memory";
}

}  // namespace

Connection::Connection(Core* core, Host* host)
    : core_(core),
      host_(host),
      incoming_(&core->incoming, kSureIncomingBytes, limits::kMaxIncomingBytesEach),
      unsent_(&core->unsent, kSureUnsentBytes, SIZE_MAX),
      output_(&core->spare_output),
      pings_(core->options.keepalive_min_time),
      keepalive_([](void* self) { static_cast<Connection*>(self)->OnKeepalive(); }, this),
      farewell_([](void* self) { static_cast<Connection*>(self)->FarewellHeard(); }, this),
      look_([](void* self) { static_cast<Connection*>(self)->LookAtAnswers(); }, this),
      last_received_(core->executor->Now()) {
  Submitted(nghttp2_session_server_new2(&session_, core->callbacks.get(), this,
                                        core->session_options.get()));
  const std::array<nghttp2_settings_entry, 3> settings = {{
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, core->options.max_concurrent_streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits::kStreamWindowBytes},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits::kMaxHeaderBytes},
  }};
  Submitted(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size()));
  Submitted(nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                                  limits::kConnectionWindowBytes));
  core->wheel.Set(&keepalive_, last_received_ + core->options.keepalive_interval);
}

Connection::~Connection() {
  JETD_CHECK(streams_.empty()) << streams_.size() << " calls have not ended";
  nghttp2_session_del(session_);
}

// --- Bytes in and out -------------------------------------------------------------------------

bool Connection::Receive(std::string_view bytes) {
  if (deaf_) return false;
  last_received_ = core_->executor->Now();
  const ssize_t taken = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (taken < 0) deaf_ = true;
  host_->OnWork();
  return !deaf_;
}

void Connection::Fill() {
  while (may_fill()) {
    const uint8_t* frames = nullptr;
    const ssize_t made = nghttp2_session_mem_send(session_, &frames);
    if (made < 0) deaf_ = true;
    if (made <= 0) break;
    output_.Append(std::string_view(reinterpret_cast<const char*>(frames), made));
  }
  if (unsent_.used() > 0 && !look_.set() && !deaf_) {
    core_->wheel.Set(&look_, core_->executor->Now() + kUnsentLook);
  }
}

bool Connection::is_full() const {
  return waiting_bytes_ > limits::kMaxOutgoingBytes ||
         nghttp2_session_get_outbound_queue_size(session_) > kMaxQueuedFrames;
}

void Connection::LookAtAnswers() {
  const bool pressed = core_->unsent.used() > core_->unsent.limit() / 2;
  for (const auto& stream : streams_) stream->LookAtAnswer(pressed ? 1 : kUnsentLooks);
  if (unsent_.used() > 0) core_->wheel.Set(&look_, core_->executor->Now() + kUnsentLook);
}

bool Connection::finished() const {
  return deaf_ ||
         (nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0);
}

// --- Calls ------------------------------------------------------------------------------------

Stream* Connection::Add(int32_t id) {
  streams_.push_back(std::make_unique<Stream>(this, id));
  streams_.back()->index_ = streams_.size() - 1;
  return streams_.back().get();
}

void Connection::Free(Stream* stream) {
  const size_t index = stream->index_;
  std::swap(streams_[index], streams_.back());
  streams_[index]->index_ = index;
  streams_.pop_back();
}

void Connection::Queue(Stream* stream) {
  if (std::exchange(stream->queued_, true)) return;
  events_.push_back(stream);
  host_->OnWork();
}

Stream* Connection::NextEvent() {
  if (batch_done_ == batch_.size()) {
    batch_.clear();
    batch_done_ = 0;
    batch_.swap(events_);
  }
  if (!batch_.empty()) {
    Stream* const stream = batch_[batch_done_++];
    stream->queued_ = false;
    return stream;
  }
  if (parked_.empty() || Crowded()) return nullptr;
  Stream* const stream = parked_.front();
  stream->Unpark();
  return stream;
}

bool Connection::RunEvents(size_t most) {
  for (; most > 0; --most) {
    Stream* const stream = NextEvent();
    if (stream == nullptr) return false;
    stream->Work();
    if (stream->done()) Free(stream);
  }
  return has_events();
}

void Connection::Abort() {
  deaf_ = true;
  keepalive_.Cancel();
  farewell_.Cancel();
  look_.Cancel();
  for (const auto& stream : streams_) stream->OnGone();
}

void Connection::Consume(int32_t stream, size_t bytes) {
  if (bytes == 0) return;
  Submitted(nghttp2_session_consume(session_, stream, bytes));
  host_->OnWork();
}

void Connection::Begin(Stream* stream) {
  const std::array<nghttp2_nv, 2> head = {Field(":status", "200"),
                                          Field("content-type", "application/grpc")};
  nghttp2_data_provider provider{};
  provider.source.ptr = stream;
  provider.read_callback = &Http2Events::OfferMessage;
  Submitted(nghttp2_submit_response(session_, stream->id(), head.data(), head.size(), &provider));
  host_->OnWork();
}

void Connection::Resume(int32_t stream) {
  Submitted(nghttp2_session_resume_data(session_, stream));
  host_->OnWork();
}

void Connection::SendTrailers(Stream* stream) {
  const Status& status = stream->status();
  if (status.ok()) {
    const nghttp2_nv trailer = StatusField(Code::kOk);
    Submitted(nghttp2_submit_trailer(session_, stream->id(), &trailer, 1));
  } else {
    const std::string text = TextOf(status);
    const std::array<nghttp2_nv, 2> trailers = {StatusField(status.code()), MessageField(text)};
    Submitted(nghttp2_submit_trailer(session_, stream->id(), trailers.data(), trailers.size()));
  }
  host_->OnWork();
}

void Connection::SendOnlyTrailers(Stream* stream, int http_status) {
  const Status& status = stream->status();
  const std::string text = TextOf(status);
  const std::array<nghttp2_nv, 5> fields = {
      Field(":status", HttpStatusText(http_status)), Field("content-type", "application/grpc"),
      StatusField(status.code()), MessageField(text), Field("grpc-accept-encoding", "identity")};
  // The last is for those who came with another.
  const size_t count = stream->head().encodes() ? 5 : 4;
  Submitted(nghttp2_submit_response(session_, stream->id(), fields.data(), count, nullptr));
  host_->OnWork();
}

void Connection::Reset(int32_t stream) {
  Submitted(nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL));
  host_->OnWork();
}

// --- Pings and the end ------------------------------------------------------------------------

void Connection::OnSettings() { greeted_ = true; }

void Connection::OnPing(bool is_ack, const uint8_t* data) {
  if (!is_ack) {
    if (!pings_.Pinged(last_received_, !streams_.empty())) {
      Farewell(NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings");
      deaf_ = true;
    }
    return;
  }
  if (draining_ && std::memcmp(data, kFarewellPing.data(), kFarewellPing.size()) == 0) {
    FarewellHeard();
  }
}

// Due at the earliest: what came since moves it on.
void Connection::OnKeepalive() {
  const MonoTime now = core_->executor->Now();
  const TransportOptions& options = core_->options;
  if (asked_alive_.has_value() && last_received_ < *asked_alive_) {
    deaf_ = true;
    host_->OnWork();
    return;
  }
  asked_alive_.reset();
  if (now - last_received_ < options.keepalive_interval) {
    core_->wheel.Set(&keepalive_, last_received_ + options.keepalive_interval);
    return;
  }
  asked_alive_ = now;
  Submitted(nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr));
  core_->wheel.Set(&keepalive_, now + options.keepalive_timeout);
  host_->OnWork();
}

void Connection::EndNow() {
  draining_ = true;
  Farewell(NGHTTP2_NO_ERROR, "graceful_stop");
}

void Connection::Drain() {
  if (std::exchange(draining_, true)) return;
  Submitted(nghttp2_submit_shutdown_notice(session_));
  Submitted(nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, kFarewellPing.data()));
  core_->wheel.Set(&farewell_, core_->executor->Now() + limits::kFarewellPatience);
  host_->OnWork();
}

// The client has seen the notice, so what it begins from now on it begins elsewhere.
void Connection::FarewellHeard() { Farewell(NGHTTP2_NO_ERROR, "graceful_stop"); }

void Connection::Farewell(uint32_t error, std::string_view why) {
  if (std::exchange(said_farewell_, true)) return;
  farewell_.Cancel();
  Submitted(nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                                  nghttp2_session_get_last_proc_stream_id(session_), error,
                                  reinterpret_cast<const uint8_t*>(why.data()), why.size()));
  host_->OnWork();
}

}  // namespace jetd::rpc
