// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/http_pages.h"

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/etcdpb/rpc.grpc.pb.h"
#include "base/strings.h"
#include "base/testing/wait_until.h"
#include "etcdapi/testing/http_get.h"
#include "etcdapi/testing/test_server.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class HttpPagesTest : public ::testing::Test {
 protected:
  void Start(TestServer::Options options = {}) {
    server_ = std::make_unique<TestServer>(std::move(options));
    HttpPages::Sources sources;
    sources.server = server_->server();
    sources.tally = server_->tally();
    sources.has_leader = [this] { return server_->has_leader(); };
    sources.alarms = [this] { return alarms_; };
    pages_ = std::make_unique<HttpPages>(server_->engine(), std::move(sources));
    // However busy the machine is.
    constexpr std::chrono::minutes kLong{10};
    auto http = HttpServer::Listen({.urls = {ParseListenUrl("http://127.0.0.1:0").value()},
                                    .patience = kLong,
                                    .max_life = kLong});
    JETD_CHECK(http.ok()) << http.status();
    http_ = *std::move(http);
    http_->Start(pages_->handler());
  }
  [[nodiscard]] HttpAnswer Ask(const std::string& path, const std::string& method = "GET") const {
    return Get({.port = http_->port(0), .path = path, .method = method});
  }
  // The value of a sample, "" if it is not there.
  [[nodiscard]] std::string Sample(const std::string& name) const {
    const std::string page = Cat("\n", Ask("/metrics").body);
    const std::string wanted = Cat("\n", name, " ");
    const size_t at = page.find(wanted);
    if (at == page.npos) return "";
    const size_t begin = at + wanted.size();
    return page.substr(begin, page.find('\n', begin) - begin);
  }
  // A refused call is counted when its answer is with the transport: its client may be faster. And
  // what NATS knows is left out of a page that it does not come to in time.
  void WaitFor(const std::string& name, const std::string& value) const {
    EXPECT_TRUE(WaitUntil([&] { return Sample(name) == value; })) << name << " is " << Sample(name);
  }
  // Through the engine's thread, whose they are.
  void Raise(const std::string& alarm) {
    server_->OnEngine([&] { alarms_ = {alarm}; });
  }
  grpc::Status Put(const std::string& key) const {
    etcdserverpb::PutRequest request;
    request.set_key(key);
    request.set_value("value");
    etcdserverpb::PutResponse response;
    grpc::ClientContext context;
    return etcdserverpb::KV::NewStub(server_->channel())->Put(&context, request, &response);
  }
  grpc::Status Delete(const std::string& key) const {
    etcdserverpb::DeleteRangeRequest request;
    request.set_key(key);
    etcdserverpb::DeleteRangeResponse response;
    grpc::ClientContext context;
    return etcdserverpb::KV::NewStub(server_->channel())->DeleteRange(&context, request, &response);
  }

  std::vector<std::string> alarms_;
  // Gone last: the engine may still call it.
  std::unique_ptr<HttpPages> pages_;
  std::unique_ptr<TestServer> server_;
  std::unique_ptr<HttpServer> http_;
};

TEST_F(HttpPagesTest, ServesEtcdsPaths) {
  Start();
  EXPECT_EQ(Ask("/version").body, R"({"etcdserver":"3.5.30","etcdcluster":"3.5.0"})");
  EXPECT_EQ(Ask("/version").headers.at("Content-Type"), "application/json");
  EXPECT_EQ(Ask("/health").body, R"({"health":"true","reason":""})");
  EXPECT_EQ(Ask("/livez").body, "ok\n");
  EXPECT_THAT(Ask("/readyz?verbose").body, HasSubstr("[+]linearizable_read ok\n"));
  EXPECT_EQ(Ask("/metrics").headers.at("Content-Type"), kMetricsContentType);
  EXPECT_EQ(Ask("/usage").headers.at("Content-Type"), "application/json");
  EXPECT_THAT(Ask("/usage").body, HasSubstr(R"("requests":{)"));
  EXPECT_THAT(Ask("/usage?since=1700000000").body, HasSubstr(R"("since":{"from_seconds":)"));
  for (const char* since : {"", "x", "-1", "1e9", "99999999999999999999"}) {
    EXPECT_EQ(Ask(Cat("/usage?since=", since)).status, 400) << since;
  }
  const HttpAnswer nothing = Ask("/nothing");
  EXPECT_EQ(nothing.status, 404);
  EXPECT_EQ(nothing.body, "404 page not found\n");
  const HttpAnswer posted = Ask("/health", "POST");
  EXPECT_EQ(posted.status, 405);
  EXPECT_EQ(posted.headers.at("Allow"), "GET");
}

// Many who ask for what takes long do not hold up probes: all but two are told to come again.
TEST_F(HttpPagesTest, FewReadTheRecordAtATime) {
  Start();
  std::promise<void> blocked;
  std::promise<void> release;
  std::thread block([&] {
    server_->OnEngine([&] {
      blocked.set_value();
      release.get_future().wait();
    });
  });
  blocked.get_future().wait();
  std::promise<HttpAnswer> first;
  std::atomic<int> done = 0;
  std::vector<std::future<HttpAnswer>> answers;
  for (int i = 0; i < 3; ++i) {
    answers.push_back(std::async(std::launch::async, [&] {
      HttpAnswer answer = Ask("/usage?since=0");
      if (done++ == 0) first.set_value(answer);
      return answer;
    }));
  }
  // The engine answers nobody now.
  const HttpAnswer refused = first.get_future().get();
  EXPECT_EQ(refused.status, 503);
  EXPECT_THAT(refused.body, HasSubstr("ask again"));
  release.set_value();
  block.join();
  int served = 0;
  for (auto& answer : answers) served += answer.get().status == 200 ? 1 : 0;
  EXPECT_EQ(served, 2);
  EXPECT_EQ(Ask("/usage?since=0").status, 200);
}

TEST_F(HttpPagesTest, CountsWhatClientsDo) {
  Start();
  ASSERT_TRUE(Put("a").ok());
  ASSERT_TRUE(Put("b").ok());
  ASSERT_TRUE(Delete("a").ok());
  EXPECT_FALSE(Put("").ok());
  EXPECT_EQ(Sample("etcd_mvcc_put_total"), "2");
  EXPECT_EQ(Sample("etcd_mvcc_delete_total"), "1");
  EXPECT_EQ(Sample("etcd_debugging_mvcc_keys_total"), "1");
  EXPECT_EQ(Sample("etcd_debugging_mvcc_current_revision"), "4");
  EXPECT_EQ(Sample("etcd_server_has_leader"), "1");
  EXPECT_EQ(Sample("etcd_server_is_leader"), "1");
  EXPECT_EQ(Sample("etcd_server_leader_changes_seen_total"), "1");
  const std::string put = R"(grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"})";
  WaitFor(Cat("grpc_server_started_total{", put), "3");
  EXPECT_EQ(Sample(Cat(R"(grpc_server_handled_total{grpc_code="OK",)", put)), "2");
  EXPECT_EQ(Sample(Cat(R"(grpc_server_handled_total{grpc_code="InvalidArgument",)", put)), "1");
  EXPECT_EQ(Sample(Cat("grpc_server_msg_received_total{", put)), "3");
  EXPECT_EQ(Sample(Cat("grpc_server_msg_sent_total{", put)), "2");
  EXPECT_EQ(Sample("jetd_records_acked_total"), "4");  // the term's record too
  EXPECT_NE(Sample("etcd_network_client_grpc_received_bytes_total"), "0");
  EXPECT_NE(Sample("etcd_disk_backend_commit_duration_seconds_count"), "0");
  WaitFor("jetd_stream_records", "4");
  EXPECT_EQ(Sample(Cat("grpc_server_handling_seconds_count{", put)), "");
}

TEST_F(HttpPagesTest, CountsStreams) {
  Start();
  const std::string watch =
      R"(grpc_method="Watch",grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"})";
  grpc::ClientContext context;
  const auto stub = etcdserverpb::Watch::NewStub(server_->channel());
  const auto stream = stub->Watch(&context);
  etcdserverpb::WatchRequest request;
  request.mutable_create_request()->set_key("k");
  ASSERT_TRUE(stream->Write(request));
  etcdserverpb::WatchResponse response;
  ASSERT_TRUE(stream->Read(&response));
  ASSERT_TRUE(Put("k").ok());
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(Sample("etcd_debugging_mvcc_watcher_total"), "1");
  EXPECT_EQ(Sample("etcd_debugging_mvcc_watch_stream_total"), "1");
  EXPECT_EQ(Sample("etcd_debugging_mvcc_events_total"), "1");
  EXPECT_EQ(Sample(Cat("grpc_server_started_total{", watch)), "1");
  EXPECT_EQ(Sample(Cat("grpc_server_msg_sent_total{", watch)), "2");
  context.TryCancel();
  (void)stream->Finish();
  WaitFor("etcd_debugging_mvcc_watch_stream_total", "0");
  EXPECT_EQ(Sample(Cat(R"(grpc_server_handled_total{grpc_code="Canceled",)", watch)), "1");
}

TEST_F(HttpPagesTest, TimesCallsIfWanted) {
  Start({.time_calls = true});
  ASSERT_TRUE(Put("a").ok());
  ASSERT_FALSE(Put("").ok());
  WaitFor(R"(grpc_server_handling_seconds_count{grpc_method="Put",)"
          R"(grpc_service="etcdserverpb.KV",grpc_type="unary"})",
          "2");
}

TEST_F(HttpPagesTest, AlarmsAreUnhealthy) {
  Start();
  Raise("NOSPACE");
  EXPECT_EQ(Ask("/health").status, 503);
  EXPECT_EQ(Ask("/health?exclude=NOSPACE").status, 200);
  EXPECT_EQ(Ask("/readyz").status, 200);
  Raise("CORRUPT");
  EXPECT_EQ(Ask("/readyz").status, 503);
  EXPECT_EQ(Ask("/readyz?exclude=data_corruption").status, 200);
  EXPECT_EQ(Ask("/livez").status, 200);
  EXPECT_EQ(Sample(R"(jetd_alarm{type="CORRUPT"})"), "1");
}

// What waits for NATS is live and not ready.
TEST_F(HttpPagesTest, AStartThatWaitsIsLive) {
  Start({.wait_until_leading = false, .connect_on_open = false});
  EXPECT_EQ(Ask("/livez").status, 200);
  const HttpAnswer ready = Ask("/readyz");
  EXPECT_EQ(ready.status, 503);
  EXPECT_THAT(ready.body, HasSubstr("(waiting for the first connection to NATS)"));
  EXPECT_THAT(Ask("/health").body, HasSubstr("RAFT NO LEADER"));
  EXPECT_EQ(Sample("etcd_server_has_leader"), "0");
  server_->OnEngine([&] { server_->log()->Reconnect(); });
  server_->WaitUntilLeading();
  EXPECT_EQ(Ask("/readyz").status, 200);
}

TEST_F(HttpPagesTest, AMemberThatLostNatsIsLiveAndSaysSo) {
  Start();
  server_->OnEngine([&] { server_->log()->Disconnect(); });
  // As soon as its patience is over: see LeaderGuard.
  WaitFor("etcd_server_has_leader", "0");
  EXPECT_THAT(Ask("/health").body, HasSubstr("RAFT NO LEADER"));
  EXPECT_EQ(Ask("/health?serializable=true").status, 200);
  EXPECT_EQ(Ask("/livez").status, 200);
  EXPECT_THAT(Ask("/readyz").body,
              HasSubstr("[-]linearizable_read failed: etcdserver: no leader (waiting for the "
                        "connection to NATS"));
}

// NATS does not say how large the stream is: the page comes without that.
TEST_F(HttpPagesTest, AScrapeDoesNotWaitForNats) {
  Start();
  server_->OnEngine([&] { server_->log()->Hold(jetstream::MemoryLog::Leg::kApi); });
  EXPECT_EQ(Sample("etcd_server_has_leader"), "1");
  EXPECT_THAT(Ask("/metrics").body, Not(HasSubstr("jetd_stream_records")));
  server_->OnEngine([&] { server_->log()->Release(jetstream::MemoryLog::Leg::kApi); });
  WaitFor("jetd_stream_records", "1");  // of the term
}

TEST(DurabilityTextTest, SaysWhatAnAnswerSurvives) {
  jetstream::LogInfo info;
  EXPECT_EQ(DurabilityText(info), "not known before the first connection to NATS");
  info.bucket = "b";
  info.synced = true;
  EXPECT_THAT(DurabilityText(info), HasSubstr("synced to the disk"));
  info.durability_caveat = "the file system may reorder";
  EXPECT_EQ(DurabilityText(info), "the file system may reorder");
}

}  // namespace
}  // namespace jetd::etcdapi
