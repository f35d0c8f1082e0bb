// SPDX-License-Identifier: Apache-2.0
#include "jetstream/mirror_config.h"

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd::jetstream {
namespace {

using ::testing::HasSubstr;
using Fit = MirrorState::Fit;

nlohmann::json Bucket() { return NewStreamConfig({.bucket = "b"}); }

TEST(MirrorConfigTest, ADeclarationIsReadAsItWasWritten) {
  nlohmann::json config = Bucket();
  EXPECT_TRUE(DeclaredMirrors(config).empty());
  DeclareMirror({.name = "b", .domain = "x", .cap_records = 7}, &config);
  DeclareMirror({.name = "a", .domain = "dr"}, &config);
  DeclareMirror({.name = "b", .domain = "x", .cap_records = 8}, &config);
  const auto declared = DeclaredMirrors(config);
  ASSERT_EQ(declared.size(), 2U);
  EXPECT_EQ(declared[0].name, "a");
  EXPECT_EQ(declared[0].domain, "dr");
  EXPECT_EQ(declared[0].cap_records, MirrorDeclaration::kDefaultCap);
  EXPECT_EQ(declared[1].cap_records, 8U);
  EXPECT_TRUE(TakeBackMirror("a", &config));
  EXPECT_FALSE(TakeBackMirror("a", &config));
  EXPECT_EQ(DeclaredMirrors(config).size(), 1U);
}

TEST(MirrorConfigTest, WhatCannotBeReadIsLeftOut) {
  nlohmann::json config = Bucket();
  for (const char* text : {"", "x", "[]", "{}", R"({"cap":-1,"domain":"d"})", R"({"cap":1})"}) {
    config["metadata"]["jetd.mirror.a"] = text;
    EXPECT_TRUE(DeclaredMirrors(config).empty()) << text;
  }
  config["metadata"]["jetd.mirror.a"] = 7;
  EXPECT_TRUE(DeclaredMirrors(config).empty());
  config["metadata"] = 7;
  EXPECT_TRUE(DeclaredMirrors(config).empty());
  EXPECT_TRUE(DeclaredMirrors(nlohmann::json::object()).empty());
}

// From a mirror to a bucket, and what may be served on the way.
TEST(MirrorConfigTest, APromotionEndsWithABucket) {
  EXPECT_TRUE(CheckStreamConfig("b", Bucket()).ok());
  nlohmann::json config =
      MirrorStreamConfig("b", 3, {.domain = "hub", .created_ns = 1'700'000'000'000'000'001});
  EXPECT_EQ(config["num_replicas"], 3);
  EXPECT_FALSE(config.contains("subjects"));
  EXPECT_EQ(config["mirror"]["external"]["api"], "$JS.hub.API");
  EXPECT_THAT(std::string(CheckStreamConfig("b", config).message()), HasSubstr("it is a mirror"));
  EXPECT_TRUE(CheckUnserved("b", config).ok());
  config = PromotingConfig("b", config);
  EXPECT_THAT(std::string(CheckStreamConfig("b", config).message()),
              HasSubstr("its promotion was begun and not ended"));
  EXPECT_TRUE(CheckUnserved("b", config).ok());
  config = PromotedConfig(config, "2026-11-20T15:10:00Z");
  EXPECT_TRUE(CheckStreamConfig("b", config).ok()) << CheckStreamConfig("b", config);
  EXPECT_EQ(config["metadata"]["jetd.promoted"], "2026-11-20T15:10:00Z");
}

TEST(MirrorConfigTest, TheOldPrimaryIsRefused) {
  const nlohmann::json config = SealedConfig(Bucket(), "dr");
  EXPECT_THAT(std::string(CheckStreamConfig("b", config).message()),
              HasSubstr("the JetStream domain dr was promoted"));
  EXPECT_TRUE(CheckUnserved("b", config).ok());
}

// Who only reads refuses what jetd could never have served too.
TEST(MirrorConfigTest, ABucketThatLosesRecordsIsNotRead) {
  nlohmann::json config = Bucket();
  config["max_age"] = 1;
  EXPECT_FALSE(CheckUnserved("b", config).ok());
  EXPECT_FALSE(CheckUnserved("b", nlohmann::json::object()).ok());
}

TEST(MirrorConfigTest, ReadsWhatTheServerSays) {
  nlohmann::json answer = {
      {"config", MirrorStreamConfig("b", 1, {.domain = "hub", .created_ns = 17})},
      {"created", "2026-11-20T15:10:00.5Z"},
      {"state",
       {{"messages", 2}, {"first_seq", 3}, {"last_seq", 9}, {"last_ts", "1970-01-01T00:00:01Z"}}},
      {"mirror", {{"name", "KV_b"}, {"active", 5}, {"error", {{"description", "gone"}}}}}};
  const auto facts = MirrorFactsOf(answer);
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_TRUE(facts->mirrors);
  EXPECT_EQ(facts->origin.domain, "hub");
  EXPECT_EQ(facts->origin.created_ns, 17);
  EXPECT_EQ(facts->stream.origin_created_ns, 17);
  EXPECT_EQ(facts->stream.state.last, StreamSeq(9));
  EXPECT_EQ(facts->newest_ns, 1'000'000'000);
  EXPECT_EQ(facts->silent_ns, 5);
  EXPECT_EQ(facts->error, "gone");
  // One that somebody else made; and, promoted, a stream of its own.
  answer["config"]["metadata"].erase("jetd.origin.created");
  EXPECT_EQ(MirrorFactsOf(answer)->stream.origin_created_ns, 0);
  answer["config"].erase("mirror");
  EXPECT_EQ(MirrorFactsOf(answer)->stream.origin_created_ns, facts->stream.created_ns);
  answer.erase("created");
  EXPECT_FALSE(MirrorFactsOf(answer).ok());
}

TEST(MirrorConfigTest, ReadsAMessage) {
  nlohmann::json answer = {
      {"message", {{"seq", 7}, {"subject", "s"}, {"hdrs", "aGVhZA=="}, {"data", "eA=="}}}};
  const auto message = StoredMessageOf(answer);
  ASSERT_TRUE(message.ok()) << message.status();
  EXPECT_EQ(message->seq, StreamSeq(7));
  EXPECT_EQ(message->subject, "s");
  for (const char* member : {"seq", "subject", "hdrs", "data"}) {
    nlohmann::json other = answer;
    other["message"][member] =
        other["message"][member].is_number() ? nlohmann::json(8) : "SmV0ZDogMg==";
    EXPECT_NE(StoredMessageOf(other).value(), *message) << member;
  }
  // What its writer asked of the server is no part of it.
  const auto with_headers = [&answer](const std::string& headers) {
    std::string text;
    absl::Base64Escape(headers, &text);
    answer["message"]["hdrs"] = text;
    return StoredMessageOf(answer).value();
  };
  const StoredMessage origin = with_headers(
      "NATS/1.0\r\nNats-Expected-Last-Sequence: 6\r\nJetd: 1\r\nKV-Operation: DEL\r\n\r\n");
  EXPECT_EQ(origin, with_headers("NATS/1.0\r\nJetd: 1\r\nKV-Operation: DEL\r\n\r\n"));
  EXPECT_NE(origin, with_headers("NATS/1.0\r\nJetd: 1\r\n\r\n"));
  EXPECT_EQ(origin.Header("KV-Operation"), "DEL");
  EXPECT_EQ(origin.Header("KV"), "");
  EXPECT_NE(origin, with_headers("NATS/1.0\r\nJetd: 2\r\nKV-Operation: DEL\r\n\r\n"));
  EXPECT_EQ(with_headers("NATS/1.0\r\nNats-Expected-Last-Sequence: 6\r\n\r\n"), with_headers(""));
  answer["message"]["hdrs"] = "!";
  EXPECT_FALSE(StoredMessageOf(answer).ok());
  // Neither headers nor payload.
  answer["message"].erase("hdrs");
  answer["message"].erase("data");
  EXPECT_TRUE(StoredMessageOf(answer).ok());
  answer["message"]["seq"] = 0;
  EXPECT_FALSE(StoredMessageOf(answer).ok());
  EXPECT_FALSE(StoredMessageOf(nlohmann::json::object()).ok());
}

// --- identity -----------------------------------------------------------------------------------

MirrorEvidence Evidence() {
  MirrorEvidence evidence;
  evidence.origin.created_ns = 17;
  evidence.origin.state.last = StreamSeq(100);
  evidence.mirror.mirrors = true;
  evidence.mirror.origin = {.domain = "hub", .created_ns = 17};
  evidence.mirror.stream.state.last = StreamSeq(90);
  return evidence;
}

TEST(MirrorIdentityTest, OneThatIsBehindFits) {
  EXPECT_EQ(JudgeMirror(Evidence()).fit, Fit::kFits);
  // A new bucket, and a mirror of it that has nothing yet.
  MirrorEvidence evidence = Evidence();
  evidence.mirror.stream.state.last = StreamSeq(0);
  EXPECT_EQ(JudgeMirror(evidence).fit, Fit::kFits);
}

TEST(MirrorIdentityTest, AnotherStreamIsAnAlarm) {
  MirrorEvidence evidence = Evidence();
  evidence.origin.created_ns = 18;
  EXPECT_EQ(JudgeMirror(evidence).fit, Fit::kOther);
  EXPECT_THAT(JudgeMirror(evidence).what, HasSubstr("made anew"));
}

TEST(MirrorIdentityTest, SequencesThatAreGivenOutTwiceAreAnAlarm) {
  // Shorter than the mirror.
  MirrorEvidence evidence = Evidence();
  evidence.origin.state.last = StreamSeq(89);
  EXPECT_THAT(JudgeMirror(evidence).what, HasSubstr("went back to 89"));
  // Longer again: the leader that found it so wrote a term record where the mirror has another.
  evidence = Evidence();
  evidence.other = StreamSeq(80);
  EXPECT_EQ(JudgeMirror(evidence).fit, Fit::kOther);
  EXPECT_THAT(JudgeMirror(evidence).what, HasSubstr("gave out again"));
}

TEST(MirrorIdentityTest, WhatIsNoMirrorAnyMore) {
  MirrorEvidence evidence = Evidence();
  evidence.mirror.mirrors = false;
  EXPECT_EQ(JudgeMirror(evidence).fit, Fit::kOther);
  evidence.mirror.promoting = true;
  EXPECT_EQ(JudgeMirror(evidence).fit, Fit::kPromoted);
  evidence.mirror.promoting = false;
  evidence.mirror.promoted = "2026-11-20T15:10:00Z";
  EXPECT_EQ(JudgeMirror(evidence).fit, Fit::kPromoted);
}

}  // namespace
}  // namespace jetd::jetstream
