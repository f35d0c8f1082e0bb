// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nats_log.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/loop.h"
#include "gtest/gtest.h"
#include "jetstream/nats_test_server.h"

namespace jetd::jetstream {
namespace {

constexpr std::chrono::seconds kFarTooLong{60};

// Notes what happens, in words.
struct Notes : Log::Observer {
  void OnConnected(const LogInfo& i) override {
    info = i;
    connected = true;
    ++connections;
  }
  void OnDisconnected(const absl::Status&) override {
    connected = false;
    ++disconnections;
  }
  void OnAppended(StreamSeq seq) override { appended.push_back(seq.value()); }
  void OnRefused(StreamSeq seq, const absl::Status& why) override {
    refused.push_back(seq.value());
    refusals.push_back(why);
  }
  void OnDurable(StreamSeq seq) override { durable = seq.value(); }
  void OnForeignTerm() override { ++foreign_terms; }

  LogInfo info;
  bool connected = false;
  int connections = 0;
  int disconnections = 0;
  std::vector<uint64_t> appended, refused;
  std::vector<absl::Status> refusals;
  uint64_t durable = 0;
  int foreign_terms = 0;
};

class NatsLogTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    server_ = NatsTestServer::StartFrom(GetParam());
    if (server_ == nullptr) GTEST_SKIP() << GetParam() << " names no nats-server";
  }

  NatsLogOptions Options(const std::string& bucket = "b") {
    NatsLogOptions options;
    options.endpoint = RotateEndpoints({server_->url()}, {});
    options.stream.bucket = bucket;
    return options;
  }

  bool RunUntil(const std::function<bool()>& done) {
    bool in_time = true;
    const TimerId timer = loop_.RunAfter(kFarTooLong, [&] {
      in_time = false;
      loop_.Stop();
    });
    done_ = done;
    loop_.Run();
    done_ = nullptr;
    loop_.Cancel(timer);
    return in_time;
  }

  Loop loop_;
  std::unique_ptr<NatsTestServer> server_;

 private:
  std::function<bool()> done_;
  bool hooked_ = [this] {
    loop_.AddRoundHook([this] {
      if (done_ && done_()) loop_.Stop();
    });
    return true;
  }();
};

TEST_P(NatsLogTest, AppendsInAChainAndReadsBack) {
  NatsLog log(&loop_, Options());
  Notes notes;
  log.Open(&notes, [](const absl::Status& why) { FAIL() << why; });
  ASSERT_TRUE(RunUntil([&] { return notes.connected; }));
  EXPECT_EQ(notes.info.subject_prefix, "$KV.b.");
  EXPECT_EQ(notes.info.replicas, 1);
  for (uint64_t i = 1; i <= 1000; ++i) {
    const std::string subject = "$KV.b.key" + std::to_string(i);
    log.Append(StreamSeq(i), {.subject = subject, .header = "1 2 3", .payload = subject});
  }
  StreamSeq barrier;
  log.Barrier([&](absl::StatusOr<StreamSeq> last) { barrier = last.value(); });
  ASSERT_TRUE(RunUntil([&] { return barrier == StreamSeq(1000) && notes.durable == 1000; }));
  ASSERT_EQ(notes.appended.size(), 1000U);

  std::vector<uint64_t> seen;
  StreamSeq last;
  log.Read(
      {.from = StreamSeq(10)},
      [&](const Record& r) {
        EXPECT_EQ(r.subject, "$KV.b.key" + std::to_string(r.seq.value()));
        EXPECT_EQ(r.payload, r.subject);
        EXPECT_EQ(r.header, "1 2 3");
        EXPECT_FALSE(r.is_delete);
        EXPECT_GT(r.time_ns, 0);
        seen.push_back(r.seq.value());
      },
      [&](absl::StatusOr<StreamSeq> l) { last = l.value(); });
  ASSERT_TRUE(RunUntil([&] { return last != StreamSeq(); }));
  EXPECT_EQ(last, StreamSeq(1000));
  EXPECT_EQ(seen.size(), 991U);
}

INSTANTIATE_TEST_SUITE_P(Servers, NatsLogTest,
                         testing::Values("JETD_NATS_SERVER", "JETD_NATS_SERVER_2_10"));

}  // namespace
}  // namespace jetd::jetstream
