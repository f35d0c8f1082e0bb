// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/health_checks.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Pair;

constexpr char kHealthy[] = R"({"health":"true","reason":""})";

class HealthChecksTest : public ::testing::Test {
 protected:
  HealthChecksTest()
      : checks_({.has_leader = [this] { return has_leader_; },
                 .alarms = [this] { return alarms_; },
                 .read =
                     [this](HealthChecks::Read kind, const HealthChecks::DoneFn& done) {
                       done(kind == HealthChecks::Read::kSerializable ? local_ : proven_);
                     },
                 .durability = [] { return std::string("all is lost"); },
                 .waiting_for = [this] { return waiting_for_; }}) {}

  HttpReply Ask(const std::string& path,
                std::vector<std::pair<std::string, std::string>> query = {}) {
    EXPECT_TRUE(HealthChecks::Serves(path)) << path;
    std::optional<HttpReply> reply;
    checks_.Serve({.method = "GET", .path = path, .query = std::move(query)},
                  [&](HttpReply r) { reply = std::move(r); });
    JETD_CHECK(reply.has_value()) << path;
    return *reply;
  }
  void ExpectUnhealthy(const HttpReply& reply, const std::string& reason) {
    EXPECT_EQ(reply.status, 503);
    EXPECT_EQ(reply.body, R"({"health":"false","reason":")" + reason + "\"}\n");
  }

  bool has_leader_ = true;
  std::vector<std::string> alarms_;
  absl::Status local_, proven_;
  std::string waiting_for_;
  HealthChecks checks_;
};

TEST_F(HealthChecksTest, ServesEtcdsPathsAndNoOthers) {
  for (const char* path : {"/health", "/livez", "/readyz", "/livez/serializable_read",
                           "/readyz/data_corruption", "/readyz/durability"}) {
    EXPECT_TRUE(HealthChecks::Serves(path)) << path;
  }
  for (const char* path : {"", "/", "/health/", "/healthz", "/livez/", "/livez/data_corruption",
                           "/readyz/none", "/readyz/data_corruption/x", "health"}) {
    EXPECT_FALSE(HealthChecks::Serves(path)) << path;
  }
}

TEST_F(HealthChecksTest, HealthSaysWhatIsWrong) {
  EXPECT_EQ(Ask("/health").status, 200);
  EXPECT_EQ(Ask("/health").body, kHealthy);
  proven_ = absl::UnavailableError("etcdserver: request timed out");
  ExpectUnhealthy(Ask("/health"), "RANGE ERROR:etcdserver: request timed out");
  EXPECT_EQ(Ask("/health", {{"serializable", "true"}}).body, kHealthy);
  has_leader_ = false;
  ExpectUnhealthy(Ask("/health"), "RAFT NO LEADER");
  EXPECT_EQ(Ask("/health", {{"serializable", "true"}}).body, kHealthy);
  ExpectUnhealthy(Ask("/health", {{"serializable", "1"}}), "RAFT NO LEADER");
  alarms_ = {"CORRUPT"};
  ExpectUnhealthy(Ask("/health"), "ALARM CORRUPT");
}

TEST_F(HealthChecksTest, AlarmsCanBeExcluded) {
  alarms_ = {"NOSPACE"};
  ExpectUnhealthy(Ask("/health"), "ALARM NOSPACE");
  EXPECT_EQ(Ask("/health", {{"exclude", "NOSPACE"}}).body, kHealthy);
  alarms_ = {"NOSPACE", "CORRUPT"};
  ExpectUnhealthy(Ask("/health", {{"exclude", "NOSPACE"}}), "ALARM CORRUPT");
  EXPECT_EQ(Ask("/health", {{"exclude", "NOSPACE"}, {"exclude", "CORRUPT"}}).body, kHealthy);
  alarms_ = {"OTHER"};
  ExpectUnhealthy(Ask("/health"), "ALARM UNKNOWN");
}

TEST_F(HealthChecksTest, ReadyzNamesEachCheck) {
  EXPECT_EQ(Ask("/readyz").body, "ok\n");
  EXPECT_EQ(Ask("/readyz", {{"verbose", ""}}).body,
            "[+]data_corruption ok\n"
            "[+]serializable_read ok\n"
            "[+]linearizable_read ok\n"
            "[+]non_learner ok\n"
            "[+]durability ok: all is lost\n"
            "ok\n");
  proven_ = absl::UnavailableError("etcdserver: leader changed");
  alarms_ = {"CORRUPT"};
  const HttpReply failed = Ask("/readyz");
  EXPECT_EQ(failed.status, 503);
  EXPECT_EQ(failed.body,
            "[-]data_corruption failed: alarm activated: CORRUPT\n"
            "[+]serializable_read ok\n"
            "[-]linearizable_read failed: etcdserver: leader changed\n"
            "[+]non_learner ok\n"
            "[+]durability ok: all is lost\n\n");
  EXPECT_THAT(failed.headers, Contains(Pair("X-Content-Type-Options", "nosniff")));
}

TEST_F(HealthChecksTest, ChecksCanBeExcludedOrAskedAlone) {
  proven_ = absl::UnavailableError("x");
  EXPECT_EQ(Ask("/readyz").status, 503);
  EXPECT_EQ(Ask("/readyz", {{"exclude", "linearizable_read"}, {"exclude", "none such"}}).status,
            200);
  EXPECT_EQ(Ask("/readyz/data_corruption", {{"verbose", ""}}).body, "[+]data_corruption ok\nok\n");
  EXPECT_EQ(Ask("/readyz/linearizable_read").status, 503);
  // As in etcd, a check that was asked for alone is run.
  EXPECT_EQ(Ask("/readyz/linearizable_read", {{"exclude", "linearizable_read"}}).status, 503);
}

TEST_F(HealthChecksTest, NoSpaceIsReadyAndALostLeaderIsLive) {
  alarms_ = {"NOSPACE"};
  EXPECT_EQ(Ask("/readyz").status, 200);
  has_leader_ = false;
  waiting_for_ = "the replay of the stream";
  EXPECT_EQ(Ask("/livez").status, 200);
  EXPECT_EQ(Ask("/readyz/linearizable_read").body,
            "[-]linearizable_read failed: etcdserver: no leader (waiting for the replay of the "
            "stream)\n\n");
  local_ = absl::UnavailableError("gone");
  EXPECT_EQ(Ask("/livez").body, "[-]serializable_read failed: gone\n\n");
}

TEST_F(HealthChecksTest, CountsAsEtcdDoes) {
  EXPECT_TRUE(checks_.counts().checks.empty());
  (void)Ask("/health");
  has_leader_ = false;
  (void)Ask("/health");
  (void)Ask("/health");
  (void)Ask("/readyz");
  has_leader_ = true;
  (void)Ask("/readyz");
  (void)Ask("/livez");
  EXPECT_EQ(checks_.counts().health_ok, 1U);
  EXPECT_EQ(checks_.counts().health_failed, 2U);
  const auto& read = checks_.counts().checks.at({"readyz", "linearizable_read"});
  EXPECT_TRUE(read.ok);
  EXPECT_EQ(read.succeeded, 1U);
  EXPECT_EQ(read.failed, 1U);
  EXPECT_EQ(checks_.counts().checks.at({"livez", "serializable_read"}).succeeded, 1U);
}

// Several probes ask for different things, over and over.
TEST_F(HealthChecksTest, TheLogIsToldOfEachChangeOnce) {
  log::Init({.level = log::Level::kInfo});
  const auto ask_all = [this] {
    for (int i = 0; i < 3; ++i) {
      (void)Ask("/health");
      (void)Ask("/health", {{"exclude", "NOSPACE"}, {"exclude", Cat("none such ", i)}});
      (void)Ask("/readyz");
      (void)Ask("/livez");
    }
  };
  ::testing::internal::CaptureStderr();
  ask_all();
  alarms_ = {"NOSPACE"};
  ask_all();
  alarms_ = {};
  ask_all();
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 2) << said;
  EXPECT_THAT(said, HasSubstr("/health failed: ALARM NOSPACE\n"));
  EXPECT_THAT(said, HasSubstr("/health succeeds again\n"));
}

TEST_F(HealthChecksTest, AReadThatAnswersAfterTheEndTellsNobody) {
  HealthChecks::DoneFn kept;
  bool replied = false;
  {
    HealthChecks checks(
        {.has_leader = [] { return true; },
         .alarms = [] { return std::vector<std::string>(); },
         .read = [&](HealthChecks::Read, HealthChecks::DoneFn done) { kept = std::move(done); },
         .durability = [] { return std::string(); },
         .waiting_for = [] { return std::string(); }});
    checks.Serve({.method = "GET", .path = "/readyz"}, [&](const HttpReply&) { replied = true; });
    ASSERT_TRUE(kept);
  }
  kept(absl::OkStatus());
  EXPECT_FALSE(replied);
}

}  // namespace
}  // namespace jetd::etcdapi
