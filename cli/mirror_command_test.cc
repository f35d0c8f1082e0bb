// SPDX-License-Identifier: Apache-2.0
//
// `jetctl mirror` and `jetctl promote` as they are typed, on two real JetStream domains.
#include "cli/mirror_command.h"

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/strings.h"
#include "cli/command_harness.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jetstream/nats_test_domains.h"
#include "nlohmann/json.hpp"
#include "replication/mirror_fixture.h"
#include "replication/mirrors.h"

namespace jetd::cli {
namespace {

using jetstream::NatsTestDomains;
using replication::HandWriter;
using ::testing::HasSubstr;

TEST(HorizonTest, ARevisionOrATime) {
  EXPECT_EQ(ReadHorizon("17")->revision, Revision(17));
  EXPECT_EQ(ReadHorizon("1970-01-01T00:00:02Z")->time_ns, 2'000'000'000);
  EXPECT_EQ(ReadHorizon("1970-01-01T01:00:02.5+01:00")->time_ns, 2'500'000'000);
  for (const char* text : {"", "0", "-1", "17x", "yesterday", "2026-11-20"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ReadHorizon(text).status())) << text;
  }
}

TEST(MirrorAuditPageTest, FindsWhatIsSaidOfAMirror) {
  const std::string page =
      "# HELP jetd_mirror_verified_sequence All\n"
      "jetd_mirror_verified_sequence{domain=\"dr\",mirror=\"a\"} 90\n"
      "jetd_mirror_verified_sequence{domain=\"dr\",mirror=\"b\"} 1.25e+06\n"
      "jetd_mirror_verified_timestamp_seconds{domain=\"dr\",mirror=\"a\"} 2.5\n"
      "jetd_mirror_differences{domain=\"dr\",mirror=\"a\"} 0\n"
      "jetd_mirror_differences{domain=\"dr\",mirror=\"b\"} 3\n";
  const auto a = ReadMirrorAudit(page, "dr", "a");
  ASSERT_TRUE(a.has_value());
  EXPECT_EQ(a->verified, 90U);
  EXPECT_EQ(a->verified_at, 2.5);
  EXPECT_EQ(a->differences, 0U);
  const auto b = ReadMirrorAudit(page, "dr", "b");
  ASSERT_TRUE(b.has_value());
  EXPECT_EQ(b->verified, 1'250'000U);
  EXPECT_EQ(b->verified_at, 0);
  EXPECT_EQ(b->differences, 3U);
  const auto odd = ReadMirrorAudit(
      "\njetd_mirror_verified_sequence{domain=\"dr\",mirror=\"a\"} 1e300\n"
      "jetd_mirror_differences{domain=\"dr\",mirror=\"a\"} NaN\n",
      "dr", "a");
  EXPECT_EQ(odd->verified, std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(odd->differences, 0U);
  EXPECT_FALSE(ReadMirrorAudit(page, "far", "a").has_value());
  EXPECT_FALSE(ReadMirrorAudit("", "dr", "a").has_value());
}

class MirrorCommandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log::Init({.level = log::Level::kError});
    domains_ = NatsTestDomains::Start();
    if (domains_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    writer_ = std::make_unique<HandWriter>(domains_->hub().url());
    writer_->Lead("00112233445566778899aabbccddeeff");
    for (int i = 0; i < 10; ++i) writer_->Put("/a", Cat("value ", i));
    writer_->Compact(8);
    writer_->Flush();
  }
  // On a server of the hub.
  [[nodiscard]] Ran Mirror(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "mirror");
    arguments.push_back(Cat("--nats-url=", domains_->hub().url()));
    arguments.emplace_back("--bucket=b");
    return Jetctl(arguments);
  }
  [[nodiscard]] bool WaitUntilWhole() const {
    return replication::WaitUntil([this] {
      return Mirror({"status"}).results.find(" 0 records and 0.0 s behind") != std::string::npos;
    });
  }

  std::unique_ptr<NatsTestDomains> domains_;
  std::unique_ptr<HandWriter> writer_;
};

TEST_F(MirrorCommandTest, FromAddToRemove) {
  const Ran none = Mirror({"status"});
  EXPECT_EQ(none.exit_code, kExitOk);
  EXPECT_EQ(none.messages, "jetctl mirror: the bucket declares no mirror\n");
  const Ran added = Mirror({"add", "--domain=dr", "--cap=500"});
  ASSERT_EQ(added.exit_code, kExitOk) << added.messages;
  EXPECT_EQ(Mirror({"list"}).results, "dr domain dr cap 500\n");
  ASSERT_TRUE(WaitUntilWhole()) << Mirror({"status"}).results;
  const Ran status = Mirror({"status"});
  EXPECT_EQ(status.exit_code, kExitOk);
  EXPECT_THAT(status.results, HasSubstr("mirror dr in domain dr: attached, at sequence 12 of 12"));
  const auto json = nlohmann::json::parse(Mirror({"status", "--json"}).results, nullptr, false);
  ASSERT_TRUE(json.is_array() && json.size() == 1);
  EXPECT_EQ(json[0]["state"], "fits");
  EXPECT_EQ(json[0]["lag_records"], 0);
  EXPECT_EQ(Mirror({"list", "-o", "json"}).results,
            "[{\"cap\":500,\"domain\":\"dr\",\"name\":\"dr\"}]\n");
  const auto same = nlohmann::json::parse(Mirror({"verify", "--json"}).results, nullptr, false);
  EXPECT_EQ(same["same"], true) << same;
  EXPECT_EQ(same["origin_hash"], same["mirror_hash"]) << same;
  const Ran verified = Mirror({"verify"});
  EXPECT_EQ(verified.exit_code, kExitOk) << verified.messages;
  EXPECT_THAT(verified.results, HasSubstr("no difference\n"));
  const Ran points = Jetctl(
      {"points", Cat("--nats-url=", domains_->leaf().url()), "--nats-domain=dr", "--bucket=b"});
  EXPECT_THAT(points.results, HasSubstr("\ndr      1     11 "));
  EXPECT_EQ(Mirror({"trim", "--horizon=99", "--dry-run"}).results,
            "would remove 6 of 12 records; what can be restored begins at revision 8\n");
  EXPECT_EQ(Mirror({"trim", "--horizon=5", "--yes"}).results,
            "removed 3 of 12 records; what can be restored begins at revision 5\n");
  EXPECT_EQ(Mirror({"verify"}).exit_code, kExitOk);
  EXPECT_EQ(Mirror({"remove", "--yes"}).exit_code, kExitOk);
  EXPECT_EQ(Mirror({"list"}).results, "");
}

TEST_F(MirrorCommandTest, PromoteSaysWhatItWouldDoFirst) {
  ASSERT_EQ(Mirror({"add", "--domain=dr"}).exit_code, kExitOk);
  ASSERT_TRUE(WaitUntilWhole());
  const std::vector<std::string> promote = {"promote", Cat("--nats-url=", domains_->leaf().url()),
                                            "--bucket=b"};
  const Ran look = Jetctl(promote);
  EXPECT_EQ(look.exit_code, kExitFailed);
  EXPECT_THAT(look.results, HasSubstr("in the domain hub answers, and would be sealed"));
  std::vector<std::string> asked = promote;
  asked.emplace_back("--json");
  const auto json = nlohmann::json::parse(Jetctl(asked).results, nullptr, false);
  EXPECT_EQ(json["promoted"], false) << json;
  EXPECT_EQ(json["origin_answers"], true) << json;
  EXPECT_EQ(Mirror({"status"}).exit_code, kExitOk) << "nothing was changed";
  std::vector<std::string> really = promote;
  really.emplace_back("--yes");
  const Ran done = Jetctl(really);
  ASSERT_EQ(done.exit_code, kExitOk) << done.messages;
  EXPECT_THAT(done.results, HasSubstr("it is at 1000000011 now"));
  const Ran status = Mirror({"status"});
  EXPECT_EQ(status.exit_code, kExitDamaged);
  EXPECT_THAT(status.results, HasSubstr("ALARM: mirror dr in domain dr: it was promoted at "));
  EXPECT_EQ(Jetctl(really).exit_code, kExitFailed);
}

// To programs too, in the one object that they read.
TEST_F(MirrorCommandTest, PromoteSaysWhatAJetdHadFound) {
  ASSERT_EQ(Mirror({"add", "--domain=dr"}).exit_code, kExitOk);
  const auto mirrors = replication::Mirrors::Open(
      {.bucket = replication::kMirrorBucket, .nats_urls = {domains_->hub().url()}});
  const auto made_ns = (*mirrors)->LookAlone("dr")->stream.created_ns;
  writer_->Alarm({jetstream::AlarmType::kMirror, static_cast<uint64_t>(made_ns)});
  writer_->Flush();
  ASSERT_TRUE(replication::WaitUntil(
      [&] { return (*mirrors)->LookAlone("dr")->stream.state.last.value() == writer_->last(); }));
  domains_->hub().Kill();
  std::vector<std::string> promote = {"promote", Cat("--nats-url=", domains_->leaf().url()),
                                      "--bucket=b"};
  EXPECT_THAT(Jetctl(promote).results, HasSubstr("ALARM: the origin's jetd had found records"));
  promote.emplace_back("--json");
  const auto look = nlohmann::json::parse(Jetctl(promote).results, nullptr, false);
  ASSERT_TRUE(look.is_object()) << look;
  EXPECT_EQ(look["doubted"], true) << look;
  promote.insert(promote.end(), {"--yes", "--despite-differences"});
  const auto done = nlohmann::json::parse(Jetctl(promote).results, nullptr, false);
  ASSERT_TRUE(done.is_object()) << done;
  EXPECT_EQ(done["promoted"], true) << done;
  EXPECT_EQ(done["doubted"], true) << done;
}

TEST_F(MirrorCommandTest, WithoutItsOriginAMirrorSaysWhereItIs) {
  ASSERT_EQ(Mirror({"add", "--domain=dr"}).exit_code, kExitOk);
  ASSERT_TRUE(WaitUntilWhole());
  domains_->hub().Kill();
  const Ran alone = Jetctl({"mirror", "status", Cat("--nats-url=", domains_->leaf().url()),
                            "--bucket=b", "--nats-domain=hub", "--domain=dr"});
  EXPECT_EQ(alone.exit_code, kExitFailed);
  EXPECT_THAT(alone.results, HasSubstr("mirror in domain dr: at sequence 12, its newest of "));
}

}  // namespace
}  // namespace jetd::cli
