// SPDX-License-Identifier: Apache-2.0
//
// What clients can make a transport hold, and what it does to others.
#include "rpc/bounds.h"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/fake_executor.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "rpc/testing/echo_methods.h"
#include "rpc/testing/memory_connection.h"
#include "rpc/testing/raw_client.h"

namespace jetd::rpc {
namespace {

using namespace std::chrono_literals;

constexpr char kUnary[] = "/test.Echo/Unary";
constexpr char kLarge[] = "/test.Echo/Large";
constexpr uint32_t kWideOpen = (1U << 31) - 1;
constexpr uint16_t kInitialWindow = 4;
constexpr size_t kMegabyte = 1'000'000;

// A client and its connection, and the number of its next call.
struct Peer {
  explicit Peer(Core* core) : server(core) {}

  void Exchange(const std::string& bytes) {
    listens = server.Send(bytes);
    Listen();
  }
  void Listen() { client.Receive(server.Receive()); }
  // The status of a call: "none" if there is none yet.
  [[nodiscard]] std::string StatusOf(uint32_t stream) {
    const auto& fields = client.answer(stream).fields;
    const auto code = fields.find("grpc-status");
    if (code == fields.end()) return "none";
    const auto text = fields.find("grpc-message");
    return Cat(code->second, " ", text == fields.end() ? "" : text->second);
  }
  uint32_t Call(std::string_view path, std::string_view message) {
    next += 2;
    Exchange(client.Call(next, path, message));
    return next;
  }
  uint32_t Open(std::string_view path, std::string_view begin = "") {
    next += 2;
    Exchange(client.Headers(next, RawClient::CallOf(path)) + RawClient::Data(next, begin));
    return next;
  }
  uint32_t next = static_cast<uint32_t>(-1);
  MemoryConnection server;
  RawClient client;
  bool listens = true;
};

class BoundsTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::unique_ptr<Peer> Connect(uint32_t window = 65'535) {
    auto peer = std::make_unique<Peer>(&core_);
    peer->Exchange(RawClient::Hello({{kInitialWindow, window}}));
    // The server's own window is as it said from here on.
    peer->Exchange(Frame{.type = Frame::kSettings, .flags = Frame::kAck}.Encode());
    return peer;
  }

  static TransportOptions Options() {
    TransportOptions options;
    options.max_message_bytes = 2 * kMegabyte;
    options.max_concurrent_streams = 3'000;
    return options;
  }

  FakeExecutor executor_;
  EchoMethods methods_{4UL << 30};
  Core core_{&executor_, &methods_.methods(), Options()};
};

// --- Messages that come -----------------------------------------------------------------------

// 1,000,000 follow.
const std::string kAnnounced("\0\0\x0F\x42\x40", kPrefixBytes);

TEST_F(BoundsTest, MessagesThatAreOnlyAnnouncedCostNothing) {
  std::vector<std::unique_ptr<Peer>> hogs;
  for (int i = 0; i < 8; ++i) {
    hogs.push_back(Connect());
    for (int call = 0; call < 200; ++call) hogs.back()->Open(kUnary, kAnnounced);
  }
  EXPECT_EQ(core_.incoming.used(), 0U);
  const auto other = Connect();
  EXPECT_EQ(other->StatusOf(other->Call(kUnary, "hello")), "0 ");
}

TEST_F(BoundsTest, HalfMessagesLockNobodyOut) {
  std::vector<std::unique_ptr<Peer>> hogs;
  const std::string part(16'384, 'x');
  int refused = 0;
  for (int i = 0; i < 4; ++i) {
    hogs.push_back(Connect());
    Peer& hog = *hogs.back();
    for (int call = 0; call < 500; ++call) {
      std::string bytes;
      const uint32_t id = hog.Open(kUnary, kAnnounced);
      for (int k = 0; k < 9; ++k) bytes += RawClient::Data(id, part);
      hog.Exchange(bytes);
      if (hog.StatusOf(id) == "8 etcdserver: too many requests") ++refused;
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_LE(core_.incoming.used(), limits::kMaxIncomingBytes);
  const auto other = Connect();
  const uint32_t id = other->Open(kUnary, kAnnounced);
  for (size_t sent = 0; sent < 61 * part.size(); sent += part.size()) {
    other->Exchange(RawClient::Data(id, part));
  }
  other->Exchange(RawClient::Data(id, std::string(kMegabyte - 61 * part.size(), 'x')));
  EXPECT_EQ(other->client.answer(id).fields.at(":status"), "200");
  EXPECT_EQ(other->client.answer(id).bytes.size(), 65'535U) << "it is served";
  // And they do not last.
  executor_.Advance(kMessagePatience + TimerWheel::kTick);
  for (const auto& hog : hogs) hog->Listen();
  EXPECT_EQ(core_.incoming.used(), 0U);
  EXPECT_EQ(hogs[0]->StatusOf(1), "4 jetd: the call's message does not come");
}

TEST_F(BoundsTest, AMessageThatGoesOnIsWaitedFor) {
  const auto peer = Connect();
  const uint32_t id = peer->Open(kUnary, std::string("\0\0\0\0\5", kPrefixBytes));
  for (const char* byte : {"h", "e", "l", "l"}) {
    executor_.Advance(kMessagePatience - 1s);
    peer->Exchange(RawClient::Data(id, byte));
  }
  executor_.Advance(kMessagePatience - 1s);
  peer->Exchange(RawClient::Data(id, "o", Frame::kEndStream));
  EXPECT_EQ(peer->StatusOf(id), "0 ");
}

TEST_F(BoundsTest, WhoeverAsksForACallSaysWhatHeWants) {
  const auto peer = Connect();
  const uint32_t unary = peer->Open(kUnary);
  const uint32_t chat = peer->Open("/test.Echo/Chat");
  const uint32_t half = peer->Open("/test.Echo/Chat", std::string("\0\0\0\0\5he", 7));
  const uint32_t deaf = peer->Open("/test.Echo/Deaf", std::string("\0\0\0\0\5he", 7));
  executor_.Advance(kMessagePatience - 1s);
  peer->Listen();
  EXPECT_EQ(peer->StatusOf(unary), "none");
  executor_.Advance(1s + TimerWheel::kTick);
  peer->Listen();
  EXPECT_EQ(peer->StatusOf(unary), "4 jetd: the call's message does not come");
  EXPECT_EQ(peer->StatusOf(half), "4 jetd: the call's message does not come");
  executor_.Advance(1h);
  EXPECT_EQ(peer->StatusOf(chat), "none") << "a stream may wait for ever";
  EXPECT_EQ(peer->StatusOf(deaf), "none") << "nobody asks for it";
}

// --- Answers that go --------------------------------------------------------------------------

TEST_F(BoundsTest, ClosedWindowsHoldQuestionsBack) {
  const auto peer = Connect(0);
  constexpr int kCalls = 80;
  for (int i = 0; i < kCalls; ++i) peer->Call(kLarge, "1000000 1000000");
  const size_t bound = kMaxUnsentBytesEach / kMegabyte + 1;
  EXPECT_EQ(methods_.heard().large, static_cast<int>(bound));
  EXPECT_LE(core_.unsent.used(), kMaxUnsentBytesEach + 2 * kMegabyte);
  // Streams go on: what they say is bounded by themselves.
  const uint32_t repeat = peer->Call("/test.Echo/Repeat", "0");
  EXPECT_EQ(peer->StatusOf(repeat), "0 ");
  // All are answered in time, however the client opens its windows.
  peer->Exchange(RawClient::Window(0, kWideOpen - 65'535));
  for (uint32_t id = 1; id < 2 * kCalls; id += 2) {
    peer->Exchange(RawClient::Window(id, 2 * kMegabyte));
  }
  EXPECT_EQ(methods_.heard().large, kCalls);
  for (uint32_t id = 1; id < 2 * kCalls; id += 2) ASSERT_EQ(peer->StatusOf(id), "0 ") << id;
  EXPECT_EQ(core_.unsent.used(), 0U);
  EXPECT_EQ(peer->server->calls(), 0U);
}

TEST_F(BoundsTest, OneLargeAnswerHoldsNobodyBack) {
  const auto peer = Connect(0);
  peer->Call(kLarge, "200000000 1000000");
  const uint32_t small = peer->Call(kUnary, "hello");
  peer->Exchange(RawClient::Window(small, 100));
  EXPECT_EQ(peer->StatusOf(small), "0 ");
}

TEST_F(BoundsTest, CallsThatWaitMayEnd) {
  const auto peer = Connect(0);
  constexpr size_t kAnswers = 5;
  for (size_t i = 0; i < kAnswers; ++i) peer->Call(kLarge, "70000000 1000000");
  const uint32_t cancelled = peer->Call(kUnary, "hello");
  const uint32_t late = peer->next += 2;
  peer->Exchange(peer->client.Headers(late, RawClient::CallOf(kUnary, {{"grpc-timeout", "1S"}})) +
                 RawClient::Message(late, "hello", Frame::kEndStream));
  EXPECT_EQ(peer->server->calls(), kAnswers + 2);
  peer->Exchange(RawClient::Reset(cancelled));
  EXPECT_EQ(peer->server->calls(), kAnswers + 1);
  executor_.Advance(2s);
  peer->Listen();
  EXPECT_EQ(peer->StatusOf(late), "4 context deadline exceeded");
  EXPECT_EQ(peer->server->calls(), kAnswers);
  EXPECT_EQ(core_.incoming.used(), 0U);
}

TEST_F(BoundsTest, AllConnectionsHaveABoundTogether) {
  std::vector<std::unique_ptr<Peer>> hogs;
  constexpr int kHogs = 40;
  for (int i = 0; i < kHogs; ++i) {
    hogs.push_back(Connect(0));
    for (int call = 0; call < 70; ++call) hogs.back()->Call(kLarge, "1000000 1000000");
  }
  EXPECT_LE(core_.unsent.used(), kMaxUnsentBytes + kHogs * 2 * kMegabyte);
  const auto other = Connect();
  EXPECT_EQ(other->StatusOf(other->Call(kUnary, "hello")), "0 ") << "others are served";
}

TEST_F(BoundsTest, AnAnswerThatFitsNowhereIsNotKept) {
  const auto first = Connect(0);
  const uint32_t all = first->Call(kLarge, "1500000000 1000000");
  EXPECT_EQ(first->StatusOf(all), "none") << "alone, it may be of any size";
  EXPECT_EQ(core_.unsent.used(), 1'500'000'000U + kPrefixBytes);
  const auto second = Connect();
  const uint32_t large = second->Call(kLarge, "2000000 1000000");
  EXPECT_EQ(second->StatusOf(large), "14 jetd: too many answers wait for clients to take them");
  EXPECT_EQ(methods_.heard().last_code, Code::kUnavailable);
  const uint32_t small = second->Call(kUnary, "hello");
  EXPECT_EQ(second->StatusOf(small), "0 ");
}

TEST_F(BoundsTest, AnAnswerThatNobodyTakesIsDropped) {
  const auto peer = Connect(0);
  const uint32_t none = peer->Call(kLarge, "5000 1000");
  const uint32_t some = peer->Call(kLarge, "5000 1000");
  const uint32_t slow = peer->Call(kLarge, "5000 1000");
  const uint32_t stream = peer->Call("/test.Echo/Repeat", "2 5000 x");
  peer->Exchange(RawClient::Window(some, 100));
  for (int i = 0; i < kUnsentLooks + 3; ++i) {
    executor_.Advance(kUnsentLook + TimerWheel::kTick);
    peer->Exchange(RawClient::Window(slow, 1));
  }
  EXPECT_EQ(peer->StatusOf(none), "14 jetd: nobody takes the answer");
  EXPECT_TRUE(peer->client.answer(some).reset);
  EXPECT_EQ(peer->StatusOf(slow), "none");
  EXPECT_FALSE(peer->client.answer(slow).reset);
  EXPECT_FALSE(peer->client.answer(stream).reset) << "streams bound what they say themselves";
  EXPECT_EQ(peer->server->calls(), 2U);
  peer->Exchange(RawClient::Window(slow, 10'000));
  EXPECT_EQ(peer->StatusOf(slow), "0 ");
}

TEST_F(BoundsTest, UnderPressureItIsDroppedSooner) {
  const auto peer = Connect(0);
  const uint32_t id = peer->Call(kLarge, "600000000 1000000");
  executor_.Advance(kUnsentLook + TimerWheel::kTick);
  peer->Listen();
  EXPECT_EQ(peer->StatusOf(id), "none");
  executor_.Advance(kUnsentLook + TimerWheel::kTick);
  peer->Listen();
  EXPECT_EQ(peer->StatusOf(id), "14 jetd: nobody takes the answer");
  EXPECT_EQ(core_.unsent.used(), 0U);
}

// --- Frames -----------------------------------------------------------------------------------

// With windows wide open the library would frame all of it in one go.
TEST_F(BoundsTest, OutputIsFilledToItsBound) {
  const auto peer = Connect(kWideOpen);
  peer->Exchange(RawClient::Window(0, kWideOpen - 65'535));
  std::string calls;
  for (uint32_t id = 1; id < 100; id += 2) {
    calls += peer->client.Call(id, kLarge, "200000 1000");
  }
  EXPECT_TRUE(peer->server.Send(calls));
  constexpr size_t kFrame = 16'384 + 9;
  peer->server->Fill();
  EXPECT_GT(peer->server->output().copied_bytes(), limits::kMaxOutgoingBytes / 2);
  EXPECT_LE(peer->server->output().copied_bytes(), limits::kMaxOutgoingBytes + 2 * kFrame);
  peer->server->Fill();
  EXPECT_LE(peer->server->output().copied_bytes(), limits::kMaxOutgoingBytes + 2 * kFrame);
  peer->Listen();
  for (uint32_t id = 1; id < 100; id += 2) {
    EXPECT_EQ(peer->client.answer(id).bytes.size(), 200'005U);
    EXPECT_EQ(peer->StatusOf(id), "0 ");
  }
}

// They are no message, and pile up all the same.
TEST_F(BoundsTest, RefusalsThatNobodyTakesAreFull) {
  const auto peer = Connect();
  std::string calls;
  for (uint32_t id = 1; id < 2 * 2'000; id += 2) calls += peer->client.Call(id, "/no/path", "");
  EXPECT_TRUE(peer->server.Send(calls));
  EXPECT_TRUE(peer->server->is_full());
  peer->Listen();
  EXPECT_FALSE(peer->server->is_full());
  EXPECT_EQ(peer->StatusOf(3'999), "12 unknown service no");
}

// HTTP/2's own bound of headers would make it vanish.
TEST_F(BoundsTest, ATextThatIsTooLongIsCut) {
  const auto peer = Connect();
  const std::string text = Cat("5 ", std::string(30'000, '%'));
  const auto prefix = PrefixOf(text.size());
  const uint32_t id = peer->Open("/test.Echo/Fail", std::string(prefix.data(), prefix.size()));
  peer->Exchange(RawClient::Data(id, text.substr(0, 16'000)) +
                 RawClient::Data(id, text.substr(16'000), Frame::kEndStream));
  std::string wanted;
  for (size_t i = 0; i < kMaxStatusTextBytes; ++i) wanted += "%25";
  EXPECT_TRUE(peer->StatusOf(id) == Cat("5 ", wanted));
  EXPECT_TRUE(peer->client.answer(id).ended);
}

// --- The end of many --------------------------------------------------------------------------

TEST_F(BoundsTest, ManyCallsEndInSteps) {
  const auto peer = Connect();
  for (int i = 0; i < 1'000; ++i) peer->Open("/test.Echo/Hold");
  peer->server->Abort();
  EXPECT_TRUE(peer->server->RunEvents(100));
  EXPECT_EQ(methods_.heard().over_unsent, 100);
  EXPECT_FALSE(peer->server->RunEvents(1'000));
  EXPECT_EQ(methods_.heard().over_unsent, 1'000);
}

}  // namespace
}  // namespace jetd::rpc
