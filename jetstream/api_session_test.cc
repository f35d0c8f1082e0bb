// SPDX-License-Identifier: Apache-2.0
#include "jetstream/api_session.h"

#include <chrono>
#include <fstream>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "jetstream/nats_test_server.h"

namespace jetd::jetstream {
namespace {

class ApiSessionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = NatsTestServer::StartFrom("JETD_NATS_SERVER", "debug: true\n");
    if (server_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    session_ = Open({});
  }
  [[nodiscard]] std::unique_ptr<ApiSession> Open(ApiSession::Options options) const {
    options.urls = {server_->url()};
    return ApiSession::Open(options).value();
  }

  std::unique_ptr<NatsTestServer> server_;
  std::unique_ptr<ApiSession> session_;
};

TEST_F(ApiSessionTest, AConnectionThatEndedBetweenTwoQuestionsIsMadeAnew) {
  ASSERT_TRUE(session_->Ask("", "INFO").ok());
  server_->Kill();
  server_->Restart();
  const auto info = session_->Ask("", "INFO");
  EXPECT_TRUE(info.ok()) << info.status();
}

TEST_F(ApiSessionTest, AServerThatIsAwayMayComeBack) {
  server_->Kill();
  EXPECT_TRUE(absl::IsUnavailable(session_->Ask("", "INFO").status()));
  EXPECT_TRUE(absl::IsUnavailable(session_->Mirrors({.bucket = "b"}).status()));
  server_->Restart();
  EXPECT_TRUE(session_->Ask("", "INFO").ok());
  EXPECT_EQ(session_->url(), server_->url());
}

TEST_F(ApiSessionTest, AConnectionThatRestedForLongIsMadeAnew) {
  const auto connections = [this] {
    std::ifstream log(server_->log_path());
    int count = 0;
    for (std::string line; std::getline(log, line);) {
      count += static_cast<int>(line.find("Client connection created") != std::string::npos);
    }
    return count;
  };
  const auto patient = Open({.longest_rest = std::chrono::hours(1)});
  const auto impatient = Open({.longest_rest = std::chrono::milliseconds(0)});
  const int before = connections();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(patient->Ask("", "INFO").ok());
  EXPECT_EQ(connections(), before);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(impatient->Ask("", "INFO").ok());
  EXPECT_GE(connections(), before + 3);
}

}  // namespace
}  // namespace jetd::jetstream
