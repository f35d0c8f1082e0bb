// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_TESTING_CONNECTION_FIXTURE_H_
#define JETD_RPC_TESTING_CONNECTION_FIXTURE_H_

#include <cstdint>
#include <map>
#include <string>

#include "base/fake_executor.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "rpc/testing/echo_methods.h"
#include "rpc/testing/memory_connection.h"
#include "rpc/testing/raw_client.h"

namespace jetd::rpc {

inline constexpr char kUnary[] = "/test.Echo/Unary";
// HTTP/2's.
inline constexpr uint32_t kNoError = 0, kEnhanceYourCalm = 11, kRefusedStream = 7;

// A connection whose client is written by hand, frame by frame, and whose clock stands.
class ConnectionFixture : public ::testing::Test {
 protected:
  // Sends, and takes what the server says to it.
  void Exchange(const std::string& bytes) {
    listens_ = server_.Send(bytes);
    client_.Receive(server_.Receive());
  }
  void Listen() { client_.Receive(server_.Receive()); }
  void Hello(const std::map<uint16_t, uint32_t>& settings = {}) {
    Exchange(RawClient::Hello(settings));
  }
  [[nodiscard]] std::string StatusOf(uint32_t stream) {
    const auto& fields = client_.answer(stream).fields;
    const auto code = fields.find("grpc-status");
    const auto text = fields.find("grpc-message");
    return Cat(code == fields.end() ? "none" : code->second, " ",
               text == fields.end() ? "" : text->second);
  }
  [[nodiscard]] std::string FieldOf(uint32_t stream, const std::string& name) {
    const auto& fields = client_.answer(stream).fields;
    const auto it = fields.find(name);
    return it == fields.end() ? "none" : it->second;
  }
  // The farewell's error and text; "" without one.
  [[nodiscard]] std::string GoAway() {
    std::string last;
    for (const Frame& frame : client_.others()) {
      if (frame.type != Frame::kGoAway) continue;
      last = Cat(frame.NumberAt(4), " ", frame.payload.substr(8), " up to ", frame.NumberAt(0));
    }
    return last;
  }

  // The answer to the newest ping.
  [[nodiscard]] std::string Pong() {
    Frame pong = client_.others().back();
    for (const Frame& frame : client_.others()) {
      if (frame.type == Frame::kPing) pong = frame;
    }
    pong.flags = Frame::kAck;
    return pong.Encode();
  }

  static TransportOptions Options() {
    TransportOptions options;
    options.max_message_bytes = 1'000'000;
    options.max_concurrent_streams = 50;
    return options;
  }

  FakeExecutor executor_;
  EchoMethods methods_;
  Core core_{&executor_, &methods_.methods(), Options()};
  MemoryConnection server_{&core_};
  RawClient client_;
  bool listens_ = true;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_TESTING_CONNECTION_FIXTURE_H_
