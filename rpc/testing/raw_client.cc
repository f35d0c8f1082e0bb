// SPDX-License-Identifier: Apache-2.0
#include "rpc/testing/raw_client.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>

#include "base/check.h"
#include "rpc/framing.h"

namespace jetd::rpc {
namespace {

constexpr size_t kFrameHeadBytes = 9;

uint32_t NumberIn(std::string_view bytes, size_t at, size_t count) {
  uint32_t number = 0;
  for (size_t i = at; i < at + count; ++i) {
    number = number << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return number;
}

std::string TextOf(const uint8_t* data, size_t bytes) {
  return {reinterpret_cast<const char*>(data), bytes};
}

}  // namespace

std::string FourBytes(uint32_t number) {
  return {static_cast<char>(number >> 24), static_cast<char>(number >> 16),
          static_cast<char>(number >> 8), static_cast<char>(number)};
}

std::string Frame::Encode() const {
  std::string out = FourBytes(static_cast<uint32_t>(payload.size())).substr(1);
  out.push_back(static_cast<char>(type));
  out.push_back(static_cast<char>(flags));
  return out + FourBytes(stream) + payload;
}

uint32_t Frame::NumberAt(size_t at) const { return NumberIn(payload, at, 4); }

RawClient::RawClient() {
  constexpr size_t kTableBytes = 4'096;
  JETD_CHECK(nghttp2_hd_deflate_new(&deflater_, kTableBytes) == 0);
  JETD_CHECK(nghttp2_hd_inflate_new(&inflater_) == 0);
}

RawClient::~RawClient() {
  nghttp2_hd_deflate_del(deflater_);
  nghttp2_hd_inflate_del(inflater_);
}

std::string RawClient::Hello(const std::map<uint16_t, uint32_t>& settings) {
  Frame frame{.type = Frame::kSettings};
  for (const auto& [name, value] : settings) {
    frame.payload += FourBytes(name).substr(2) + FourBytes(value);
  }
  return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame.Encode();
}

RawClient::Fields RawClient::CallOf(std::string_view path, const Fields& more) {
  Fields fields = {{":method", "POST"},
                   {":scheme", "http"},
                   {":path", std::string(path)},
                   {":authority", "127.0.0.1:2379"},
                   {"content-type", "application/grpc"},
                   {"user-agent", "grpc-go/1.71.1"},
                   {"te", "trailers"}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

std::string RawClient::Headers(uint32_t stream, const Fields& fields, uint8_t flags) {
  std::vector<nghttp2_nv> list;
  for (const auto& [name, value] : fields) {
    list.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
                    reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(),
                    value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  std::vector<uint8_t> block(nghttp2_hd_deflate_bound(deflater_, list.data(), list.size()));
  const ssize_t bytes =
      nghttp2_hd_deflate_hd(deflater_, block.data(), block.size(), list.data(), list.size());
  JETD_CHECK(bytes >= 0) << bytes;
  return Frame{.type = Frame::kHeaders,
               .flags = flags,
               .stream = stream,
               .payload = TextOf(block.data(), static_cast<size_t>(bytes))}
      .Encode();
}

std::string RawClient::Data(uint32_t stream, std::string_view bytes, uint8_t flags) {
  return Frame{
      .type = Frame::kData, .flags = flags, .stream = stream, .payload = std::string(bytes)}
      .Encode();
}

std::string RawClient::Message(uint32_t stream, std::string_view bytes, uint8_t flags) {
  const auto prefix = PrefixOf(bytes.size());
  return Data(stream, std::string(prefix.data(), prefix.size()).append(bytes), flags);
}

std::string RawClient::Call(uint32_t stream, std::string_view path, std::string_view message) {
  return Headers(stream, CallOf(path)) + Message(stream, message, Frame::kEndStream);
}

std::string RawClient::Ping(std::string_view eight_bytes) {
  return Frame{.type = Frame::kPing, .payload = std::string(eight_bytes)}.Encode();
}

std::string RawClient::Reset(uint32_t stream) {
  constexpr uint32_t kCancel = 8;
  return Frame{.type = Frame::kRstStream, .stream = stream, .payload = FourBytes(kCancel)}.Encode();
}

std::string RawClient::Window(uint32_t stream, uint32_t bytes) {
  return Frame{.type = Frame::kWindowUpdate, .stream = stream, .payload = FourBytes(bytes)}
      .Encode();
}

void RawClient::Receive(std::string_view bytes) {
  partial_.append(bytes);
  std::string_view rest = partial_;
  while (rest.size() >= kFrameHeadBytes) {
    const size_t size = NumberIn(rest, 0, 3);
    if (rest.size() < kFrameHeadBytes + size) break;
    Take({.type = static_cast<uint8_t>(rest[3]),
          .flags = static_cast<uint8_t>(rest[4]),
          .stream = NumberIn(rest, 5, 4),
          .payload = std::string(rest.substr(kFrameHeadBytes, size))});
    rest.remove_prefix(kFrameHeadBytes + size);
  }
  partial_.erase(0, partial_.size() - rest.size());
}

void RawClient::Take(const Frame& frame) {
  if (frame.stream == 0) {
    others_.push_back(frame);
    return;
  }
  Answer& answer = answers_[frame.stream];
  if (frame.type == Frame::kData || frame.type == Frame::kHeaders) {
    answer.ended = answer.ended || (frame.flags & Frame::kEndStream) != 0;
  }
  if (frame.type == Frame::kData) answer.bytes += frame.payload;
  if (frame.type == Frame::kRstStream) {
    answer.reset = true;
    answer.reset_code = frame.NumberAt(0);
  }
  if (frame.type != Frame::kHeaders) return;
  const auto* in = reinterpret_cast<const uint8_t*>(frame.payload.data());
  size_t left = frame.payload.size();
  for (;;) {
    nghttp2_nv field;
    int flags = 0;
    const ssize_t taken = nghttp2_hd_inflate_hd2(inflater_, &field, &flags, in, left, 1);
    JETD_CHECK(taken >= 0) << "headers that are none: " << taken;
    in += taken;
    left -= static_cast<size_t>(taken);
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
      answer.fields[TextOf(field.name, field.namelen)] = TextOf(field.value, field.valuelen);
    }
    if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0) break;
  }
  nghttp2_hd_inflate_end_headers(inflater_);
}

size_t RawClient::Count(Frame::Type type) const {
  return static_cast<size_t>(std::count_if(others_.begin(), others_.end(),
                                           [type](const Frame& f) { return f.type == type; }));
}

}  // namespace jetd::rpc
