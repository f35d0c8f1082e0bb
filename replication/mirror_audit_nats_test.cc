// SPDX-License-Identifier: Apache-2.0
//
// A leader compares its mirror's records with its own, on two real nats-servers.
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/loop.h"
#include "base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jetstream/nats_test_domains.h"
#include "replication/mirror_fixture.h"
#include "replication/mirror_tools.h"
#include "replication/mirrors.h"
#include "revision/committer.h"
#include "revision/store.h"

namespace jetd::replication {
namespace {

using jetstream::CompareAnswer;
using jetstream::MirrorState;
using jetstream::NatsTestDomains;
using revision::Committer;
using ::testing::HasSubstr;

class MirrorAuditNatsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log::Init({.level = log::Level::kError});
    domains_ = NatsTestDomains::Start();
    if (domains_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    writer_ = std::make_unique<HandWriter>(domains_->hub().url());
    writer_->Lead("00112233445566778899aabbccddeeff");
    for (int i = 0; i < 100; ++i) writer_->Put(Cat("/k", i % 7), Cat("value ", i));
    writer_->Delete("/k3");
    writer_->Flush();
    const auto mirrors = Open();
    const absl::Status added = mirrors->Add({.domain = "dr"});
    ASSERT_TRUE(added.ok()) << added;
    ASSERT_TRUE(WaitForAll());
  }
  std::unique_ptr<Mirrors> Open() {
    return Mirrors::Open({.bucket = kMirrorBucket, .nats_urls = {domains_->hub().url()}}).value();
  }
  bool WaitForAll() {
    const auto mirrors = Open();
    return WaitUntil([&] {
      const auto facts = mirrors->LookAlone("dr");
      return facts.ok() && facts->stream.state.last.value() == writer_->last();
    });
  }
  [[nodiscard]] jetstream::NatsLogOptions Options() const {
    jetstream::NatsLogOptions options;
    options.endpoint = jetstream::RotateEndpoints({domains_->hub().url()}, {});
    options.stream.bucket = kMirrorBucket;
    return options;
  }
  absl::StatusOr<CompareAnswer> Compare(const jetstream::CompareQuestion& question) {
    absl::StatusOr<CompareAnswer> result = absl::UnknownError("not asked");
    const absl::Status ran =
        RunOnLog(Options(), {}, [&](jetstream::Log* log, const jetstream::LogInfo&, auto done) {
          log->CompareWithMirror(question, [&result, done](absl::StatusOr<CompareAnswer> answer) {
            result = std::move(answer);
            done(absl::OkStatus());
          });
        });
    EXPECT_TRUE(ran.ok()) << ran;
    return result;
  }
  // A jetd's heart leads until it is so; false after some minutes.
  bool LeadUntil(const std::function<bool(Committer*)>& so) {
    Loop loop;
    jetstream::NatsLog log(&loop, Options());
    revision::Store store;
    Committer::Options committing;
    committing.member_id = 1;
    committing.member_name = "m";
    committing.incarnation = "0123456789abcdef0123456789abcdef";
    committing.mirror_audit.interval = std::chrono::milliseconds(100);
    committing.mirror_audit.pause = std::chrono::milliseconds(1);
    committing.mirror_audit.doubt = std::chrono::milliseconds(1);
    Committer committer(&loop, &log, &store, committing);
    bool is_so = false;
    std::function<void()> look = [&] {
      is_so = committer.leading() && so(&committer);
      if (is_so) return loop.Stop();
      loop.RunAfter(std::chrono::milliseconds(20), look);
    };
    loop.Post([&] {
      committer.Start([&](const absl::Status& why) {
        ADD_FAILURE() << why;
        loop.Stop();
      });
      loop.RunAfter(std::chrono::minutes(4), [&] { loop.Stop(); });
      look();
    });
    loop.Run();
    loop.Post([&] {
      committer.Stop();
      loop.Stop();
    });
    loop.Run();
    return is_so;
  }

  std::unique_ptr<NatsTestDomains> domains_;
  std::unique_ptr<HandWriter> writer_;
};

TEST_F(MirrorAuditNatsTest, RecordsAreComparedAByteAtATime) {
  jetstream::CompareQuestion question;
  question.domain = "dr";
  question.from = StreamSeq(1);
  question.upto = StreamSeq(writer_->last());
  auto answer = Compare(question);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->records, 64U);
  EXPECT_EQ(answer->upto, StreamSeq(64));
  EXPECT_TRUE(answer->different.empty());
  EXPECT_TRUE(answer->missing.empty());
  question.max_bytes = 1;
  EXPECT_EQ(Compare(question)->upto, StreamSeq(1));
  question.max_bytes = 1UL << 20;
  question.from = StreamSeq(65);
  EXPECT_EQ(Compare(question)->upto, question.upto);
  // What either side has removed.
  const auto api = jetstream::ApiSession::Open({.urls = {domains_->hub().url()}}).value();
  ASSERT_TRUE(api->Ask("hub", "STREAM.MSG.DELETE.KV_b", {{"seq", 66}}).ok());
  ASSERT_TRUE(api->Ask("dr", "STREAM.MSG.DELETE.KV_b", {{"seq", 67}}).ok());
  answer = Compare(question);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_TRUE(answer->different.empty());
  EXPECT_EQ(answer->missing,
            (std::vector<CompareAnswer::Found>{{.seq = StreamSeq(67), .subject = "$KV.b./k2"}}));
  // Another stream with one other byte in it.
  ASSERT_TRUE(api->Ask("dr", "STREAM.DELETE.KV_b").ok());
  HandWriter other(domains_->leaf().url());
  other.Lead("00112233445566778899aabbccddeeff");
  for (int i = 0; i < 100; ++i) {
    other.Put(Cat("/k", i % 7), Cat(i == 70 ? "Value " : "value ", i));
  }
  other.Delete("/k3");
  other.Flush();
  answer = Compare(question);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_TRUE(answer->missing.empty());
  EXPECT_EQ(answer->different,
            (std::vector<CompareAnswer::Found>{{.seq = StreamSeq(72), .subject = "$KV.b./k0"}}));
  domains_->leaf().Kill();
  EXPECT_FALSE(Compare(question).ok());
}

// A leader needs more of these to say what they are worth: the voids of a term record, the key of
// one that is stored under another name, and whether a key that was deleted lives on.
TEST_F(MirrorAuditNatsTest, WhatIsMissingIsTold) {
  const std::string long_key(4'000, 'k');
  const uint64_t first = writer_->last() + 1;
  writer_->Put(long_key, "v");
  writer_->Put("/lives", "v");
  writer_->Delete("/lives");
  writer_->Put("/again", "v");
  writer_->Delete("/again");
  writer_->Put("/again", "v");
  writer_->Put("/gone", "v");
  writer_->Delete("/gone");
  writer_->Flush();
  ASSERT_TRUE(WaitForAll());
  const auto api = jetstream::ApiSession::Open({.urls = {domains_->hub().url()}}).value();
  for (const uint64_t seq : {uint64_t{1}, first, first + 2, first + 4, first + 6, first + 7}) {
    ASSERT_TRUE(api->Ask("dr", "STREAM.MSG.DELETE.KV_b", {{"seq", seq}}).ok());
  }
  jetstream::CompareQuestion question;
  question.domain = "dr";
  question.from = StreamSeq(1);
  question.upto = StreamSeq(writer_->last());
  question.max_records = 1'000;
  const auto answer = Compare(question);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_TRUE(answer->different.empty());
  ASSERT_EQ(answer->missing.size(), 6U);
  EXPECT_TRUE(jetstream::DecodeTerm(answer->missing[0].payload).ok());
  EXPECT_EQ(answer->missing[1].subject, jetstream::SubjectCodec(kMirrorBucket).EncodeKey(long_key));
  std::vector<bool> live_on;
  for (const CompareAnswer::Found& found : answer->missing) live_on.push_back(found.lives_on);
  EXPECT_EQ(live_on, (std::vector<bool>{false, false, true, false, false, false}));
}

TEST_F(MirrorAuditNatsTest, ALeaderVerifiesItsMirror) {
  EXPECT_TRUE(LeadUntil([this](Committer* committer) {
    const auto audits = committer->mirror_audits();
    return audits.size() == 1 && audits[0].verified.value() > writer_->last() &&
           audits[0].verified_ms > 0 && audits[0].differences == 0;
  }));
}

// No term record shows it: whoever wrote there again wrote none.
TEST_F(MirrorAuditNatsTest, ALeaderFindsRecordsThatDiffer) {
  const uint64_t last = writer_->last();
  const int64_t revision = writer_->revision();
  LoseTail(domains_.get(), &domains_->hub(), [&] {
    writer_->Put("/lost", "1");
    writer_->Flush();
    EXPECT_TRUE(WaitForAll());
  });
  writer_->GoBack(last, revision);
  for (int i = 0; i < 5; ++i) writer_->Put("/new", Cat(i));
  writer_->Flush();
  ASSERT_TRUE(WaitForAll());
  EXPECT_EQ(Open()->Look().value().front().state.fit, MirrorState::Fit::kFits);
  std::string what;
  EXPECT_TRUE(LeadUntil([&](Committer* committer) {
    const auto audits = committer->mirror_audits();
    if (audits.empty() || audits[0].differences == 0) return false;
    what = audits[0].what;
    committer->LookAtMirrors();
    return committer->mirrors().size() == 1 &&
           committer->mirrors()[0].fit == MirrorState::Fit::kOther;
  }));
  EXPECT_THAT(what,
              HasSubstr(Cat("the record at sequence ", last + 1, ", $KV.b./new, is another")));
  // The leader is gone, and what it found is not.
  EXPECT_EQ(Open()->Look().value().front().state.fit, MirrorState::Fit::kOther);
}

// The mirror forgets what its nats-server had not synced, and gets it again; what the origin has
// removed meanwhile, since the mirror had it, it does not, and is right all the same.
TEST_F(MirrorAuditNatsTest, AMirrorThatLostItsTailGetsItAgain) {
  const auto api = jetstream::ApiSession::Open({.urls = {domains_->hub().url()}}).value();
  const uint64_t kept = writer_->last();
  LoseTail(domains_.get(), &domains_->leaf(), [&] {
    for (int i = 0; i < 20; ++i) writer_->Put("/late", Cat(i));
    writer_->Flush();
    EXPECT_TRUE(WaitForAll());
    for (uint64_t seq = kept + 1; seq < kept + 15; ++seq) {
      EXPECT_TRUE(api->Ask("", "STREAM.MSG.DELETE.KV_b", {{"seq", seq}}).ok());
    }
    writer_->Compact(writer_->revision() - 5);
    writer_->Flush();
  });
  ASSERT_TRUE(WaitForAll());
  const auto mirrors = Open();
  EXPECT_EQ(mirrors->Look().value().front().state.fit, MirrorState::Fit::kFits);
  EXPECT_TRUE(
      absl::IsNotFound(api->Ask("dr", "STREAM.MSG.GET.KV_b", {{"seq", kept + 1}}).status()));
  EXPECT_TRUE(LeadUntil([&](Committer* committer) {
    const auto audits = committer->mirror_audits();
    return audits.size() == 1 && audits[0].verified.value() >= writer_->last() &&
           audits[0].differences == 0;
  }));
  const auto found = VerifyMirror({.bucket = kMirrorBucket, .nats_urls = {domains_->hub().url()}},
                                  mirrors->SourceOf(mirrors->Find("").value()));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->difference.count, 0U) << found->difference.named.front();
}

}  // namespace
}  // namespace jetd::replication
