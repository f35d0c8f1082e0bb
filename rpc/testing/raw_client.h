// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_TESTING_RAW_CLIENT_H_
#define JETD_RPC_TESTING_RAW_CLIENT_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct nghttp2_hd_deflater;
struct nghttp2_hd_inflater;

namespace jetd::rpc {

// A frame of HTTP/2 as its bytes say, whatever they mean.
struct Frame {
  enum Type : uint8_t {
    kData = 0,
    kHeaders = 1,
    kRstStream = 3,
    kSettings = 4,
    kPing = 6,
    kGoAway = 7,
    kWindowUpdate = 8,
    kContinuation = 9,
  };
  enum Flag : uint8_t { kNone = 0, kEndStream = 1, kAck = 1, kEndHeaders = 4 };

  uint8_t type = kData;
  uint8_t flags = kNone;
  uint32_t stream = 0;
  std::string payload;

  [[nodiscard]] std::string Encode() const;
  // A number of 4 bytes at a place of the payload.
  [[nodiscard]] uint32_t NumberAt(size_t at) const;
};
[[nodiscard]] std::string FourBytes(uint32_t number);

// RawClient makes a client's bytes frame by frame, also such as no client would, and takes a
// server's apart. It keeps no rules: no windows, no acks, no states. One thread.
class RawClient {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;

  RawClient();
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  // The preface with settings (identifier, value).
  [[nodiscard]] static std::string Hello(const std::map<uint16_t, uint32_t>& settings = {});
  // What a call of `path` begins with, and other fields behind.
  [[nodiscard]] static Fields CallOf(std::string_view path, const Fields& more = {});
  [[nodiscard]] std::string Headers(uint32_t stream, const Fields& fields,
                                    uint8_t flags = Frame::kEndHeaders);
  [[nodiscard]] static std::string Data(uint32_t stream, std::string_view bytes,
                                        uint8_t flags = Frame::kNone);
  // A message in one frame.
  [[nodiscard]] static std::string Message(uint32_t stream, std::string_view bytes,
                                           uint8_t flags = Frame::kNone);
  // A whole unary call.
  [[nodiscard]] std::string Call(uint32_t stream, std::string_view path, std::string_view message);
  [[nodiscard]] static std::string Ping(std::string_view eight_bytes = "12345678");
  [[nodiscard]] static std::string Reset(uint32_t stream);
  [[nodiscard]] static std::string Window(uint32_t stream, uint32_t bytes);

  // What a server has sent of one stream.
  struct Answer {
    std::map<std::string, std::string> fields;  // headers and trailers
    std::string bytes;
    bool ended = false;
    bool reset = false;
    uint32_t reset_code = 0;
  };
  // Takes a server's bytes, in any pieces.
  void Receive(std::string_view bytes);
  [[nodiscard]] const Answer& answer(uint32_t stream) { return answers_[stream]; }
  // All frames so far that are of no stream.
  [[nodiscard]] const std::vector<Frame>& others() const { return others_; }
  [[nodiscard]] size_t Count(Frame::Type type) const;

 private:
  void Take(const Frame& frame);

  nghttp2_hd_deflater* deflater_ = nullptr;
  nghttp2_hd_inflater* inflater_ = nullptr;
  std::string partial_;
  std::map<uint32_t, Answer> answers_;
  std::vector<Frame> others_;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_TESTING_RAW_CLIENT_H_
