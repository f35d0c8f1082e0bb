// SPDX-License-Identifier: Apache-2.0
//
// Mirrors and promotions on two real nats-servers, each a JetStream domain, with a bucket that is
// written by hand.
#include "replication/mirrors.h"

#include <memory>
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
#include "replication/promotion.h"
#include "replication/stream_dump.h"
#include "revision/committer.h"
#include "revision/store.h"

namespace jetd::replication {
namespace {

using jetstream::MirrorReport;
using jetstream::MirrorState;
using jetstream::NatsTestDomains;
using ::testing::HasSubstr;
using Fit = MirrorState::Fit;

constexpr char kLeader[] = "00112233445566778899aabbccddeeff";
constexpr char kOther[] = "ffeeddccbbaa99887766554433221100";

class MirrorsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log::Init({.level = log::Level::kError});
    domains_ = NatsTestDomains::Start();
    if (domains_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    writer_ = std::make_unique<HandWriter>(domains_->hub().url());
    writer_->Lead(kLeader);
    for (int i = 0; i < 20; ++i) writer_->Put(Cat("/k", i % 7), Cat("value ", i));
    writer_->Delete("/k3");
    writer_->Flush();
  }
  [[nodiscard]] StreamSource Hub() const {
    return {.bucket = kMirrorBucket, .nats_urls = {domains_->hub().url()}};
  }
  [[nodiscard]] StreamSource Leaf() const {
    return {.bucket = kMirrorBucket, .nats_urls = {domains_->leaf().url()}};
  }
  static std::unique_ptr<Mirrors> Open(const StreamSource& source) {
    auto mirrors = Mirrors::Open(source);
    EXPECT_TRUE(mirrors.ok()) << mirrors.status();
    return mirrors.ok() ? *std::move(mirrors) : nullptr;
  }
  void AddMirror() {
    const absl::Status added = Open(Hub())->Add({.domain = NatsTestDomains::kLeaf});
    ASSERT_TRUE(added.ok()) << added;
    ASSERT_TRUE(WaitForAll());
  }
  // The only mirror, as its origin finds it; unheard if the origin itself does not answer.
  static MirrorState State(Mirrors* mirrors, const std::string& domain = {}) {
    const auto reports = mirrors->Look(domain);
    if (reports.ok() && reports->size() == 1) return reports->front().state;
    MirrorState nothing;
    nothing.what = std::string(MessageOf(reports.status()));
    return nothing;
  }
  // The same, once both answer: on a busy machine an answer may be late, and a connection lost.
  static MirrorState Heard(const StreamSource& source, const std::string& domain = {}) {
    MirrorState state;
    EXPECT_TRUE(WaitUntil([&] {
      const auto mirrors = Mirrors::Open(source);
      if (!mirrors.ok()) return false;
      state = State(mirrors->get(), domain);
      return state.fit != Fit::kUnheard;
    })) << state.what;
    return state;
  }
  // The mirror has all that was written.
  bool WaitForAll() {
    std::unique_ptr<Mirrors> mirrors;
    return WaitUntil([&] {
      if (mirrors == nullptr) {
        auto opened = Mirrors::Open(Hub());
        if (!opened.ok()) return false;
        mirrors = *std::move(opened);
      }
      const MirrorState state = State(mirrors.get());
      if (state.fit == Fit::kUnheard) mirrors = nullptr;  // it may be the connection
      return state.reached.value() == writer_->last();
    });
  }
  // The mirror's stream is as long as what was written, whatever is in it.
  bool WaitForMessages() {
    const auto mirrors = Open(Hub());
    return WaitUntil([&] {
      const auto facts = mirrors->LookAlone("dr");
      return facts.ok() && facts->stream.state.last.value() == writer_->last();
    });
  }
  // The origin forgets what it wrote last, which the mirror has; the writer goes on before that.
  void LoseTail(int records) {
    const uint64_t last = writer_->last();
    const int64_t revision = writer_->revision();
    api_.reset();
    replication::LoseTail(domains_.get(), &domains_->hub(), [&] {
      for (int i = 0; i < records; ++i) writer_->Put("/lost", Cat(i));
      writer_->Flush();
      EXPECT_TRUE(WaitForAll());
    });
    writer_->GoBack(last, revision);
  }
  jetstream::ApiSession& Api() {
    if (api_ == nullptr) {
      api_ = jetstream::ApiSession::Open({.urls = {domains_->hub().url()}}).value();
    }
    return *api_;
  }
  // The text that a jetd would end with, or "".
  static std::string WhyNotServed(const StreamSource& source) {
    jetstream::NatsLogOptions options;
    options.endpoint = jetstream::RotateEndpoints(source.nats_urls, {});
    options.stream.bucket = source.bucket;
    const absl::Status status = RunOnLog(
        options, {},
        [](jetstream::Log*, const jetstream::LogInfo&, auto done) { done(absl::OkStatus()); });
    return std::string(MessageOf(status));
  }

  // The heart of a jetd, until it leads: "", or the text that it ends with.
  static std::string Lead(const StreamSource& source) {
    struct Listener : revision::Committer::Listener {
      explicit Listener(Loop* l) : loop(l) {}
      void OnLeading(Term /*term*/) override { loop->Stop(); }
      Loop* const loop;
    };
    Loop loop;
    jetstream::NatsLogOptions options;
    options.endpoint = jetstream::RotateEndpoints(source.nats_urls, {});
    options.stream.bucket = source.bucket;
    jetstream::NatsLog log(&loop, options);
    revision::Store store;
    revision::Committer::Options committing;
    committing.member_id = 1;
    committing.member_name = "m";
    committing.incarnation = "0123456789abcdef0123456789abcdef";
    revision::Committer committer(&loop, &log, &store, committing);
    Listener listener(&loop);
    committer.AddListener(&listener);
    std::string fatal;
    loop.Post([&] {
      committer.Start([&](const absl::Status& why) {
        fatal = std::string(MessageOf(why));
        loop.Stop();
      });
    });
    loop.Run();
    loop.Post([&] {
      committer.Stop();
      loop.Stop();
    });
    loop.Run();
    return fatal;
  }

  std::unique_ptr<NatsTestDomains> domains_;
  std::unique_ptr<HandWriter> writer_;
  std::unique_ptr<jetstream::ApiSession> api_;
};

TEST_F(MirrorsTest, CopiesAndTellsHowFarItIs) {
  AddMirror();
  const auto mirrors = Open(Hub());
  const auto reports = mirrors->Look();
  ASSERT_TRUE(reports.ok()) << reports.status();
  ASSERT_EQ(reports->size(), 1U);
  const MirrorReport& report = reports->front();
  EXPECT_EQ(report.state.name, "dr");
  EXPECT_EQ(report.state.fit, Fit::kFits) << report.state.what;
  EXPECT_EQ(report.state.lag_ns, 0);
  EXPECT_GE(report.facts->silent_ns, 0);
  EXPECT_EQ(report.facts->origin.domain, "hub");
  // Deletes at the origin do not reach it.
  const nlohmann::json second = {{"seq", 2}};
  ASSERT_TRUE(Api().Ask("hub", "STREAM.MSG.DELETE.KV_b", second).ok());
  EXPECT_TRUE(Api().Ask("dr", "STREAM.MSG.GET.KV_b", second).ok());
  EXPECT_TRUE(absl::IsNotFound(Api().Ask("hub", "STREAM.MSG.GET.KV_b", second).status()));
}

TEST_F(MirrorsTest, AMirroredBucketIsServed) {
  AddMirror();
  EXPECT_EQ(Lead(Hub()), "");
  EXPECT_THAT(WhyNotServed(Leaf()), HasSubstr("it is a mirror"));
  // Also when the mirror is away.
  domains_->leaf().Kill();
  EXPECT_EQ(Lead(Hub()), "");
}

TEST_F(MirrorsTest, AddMayBeRepeatedAndChangesItsMind) {
  AddMirror();
  const auto mirrors = Open(Hub());
  EXPECT_TRUE(mirrors->Add({.domain = "dr", .cap_records = 5}).ok());
  const auto declared = mirrors->List();
  ASSERT_TRUE(declared.ok()) << declared.status();
  ASSERT_EQ(declared->size(), 1U);
  EXPECT_EQ(declared->front().cap_records, 5U);
}

TEST_F(MirrorsTest, WhatCannotBeAMirrorIsNotDeclared) {
  const auto mirrors = Open(Hub());
  EXPECT_TRUE(absl::IsInvalidArgument(mirrors->Add({.domain = "hub"})));
  EXPECT_FALSE(mirrors->Add({.domain = "nowhere"}).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(mirrors->Add({.domain = "dr", .name = "a.b"})));
  // A stream of somebody else's has the name.
  HandWriter elsewhere(domains_->leaf().url());
  elsewhere.Lead(kOther);
  elsewhere.Flush();
  EXPECT_TRUE(absl::IsAlreadyExists(mirrors->Add({.domain = "dr"})));
  EXPECT_TRUE(absl::IsAlreadyExists(
      mirrors->Add({.domain = "dr", .replace = Mirrors::Replace::kOldPrimary})));
  EXPECT_TRUE(mirrors->List().value().empty());
}

TEST_F(MirrorsTest, RemoveTakesItBackAndDeletesIt) {
  AddMirror();
  const auto mirrors = Open(Hub());
  EXPECT_TRUE(absl::IsNotFound(mirrors->Remove("other", Mirrors::Data::kDelete)));
  EXPECT_TRUE(mirrors->Remove("", Mirrors::Data::kKeep).ok());
  EXPECT_TRUE(mirrors->List().value().empty());
  EXPECT_TRUE(mirrors->LookAlone("dr").ok());
  AddMirror();
  EXPECT_TRUE(mirrors->Remove("dr", Mirrors::Data::kDelete).ok());
  EXPECT_TRUE(absl::IsNotFound(mirrors->LookAlone("dr").status()));
}

TEST_F(MirrorsTest, OneThatIsAwayIsSaidToBe) {
  AddMirror();
  domains_->leaf().Kill();
  const auto mirrors = Open(Hub());
  MirrorState state;
  ASSERT_TRUE(WaitUntil([&] {
    state = State(mirrors.get());
    return state.fit == Fit::kUnheard;
  }));
  EXPECT_FALSE(state.what.empty());
  EXPECT_EQ(state.last.value(), writer_->last());
}

TEST_F(MirrorsTest, AnOriginThatWasMadeAnewIsAnAlarm) {
  AddMirror();
  ASSERT_TRUE(Api().Ask("hub", "STREAM.DELETE.KV_b").ok());
  HandWriter again(domains_->hub().url());
  again.Lead(kOther);
  for (int i = 0; i < 50; ++i) again.Put("/k", "v");
  again.Flush();
  // It has lost its declarations too.
  const auto mirrors = Open(Hub());
  EXPECT_TRUE(mirrors->List().value().empty());
  const MirrorState state = Heard(Hub(), "dr");
  EXPECT_EQ(state.fit, Fit::kOther);
  EXPECT_THAT(state.what, HasSubstr("made anew"));
}

TEST_F(MirrorsTest, SequencesThatAreGivenOutTwiceAreAnAlarm) {
  AddMirror();
  LoseTail(10);
  MirrorState state = Heard(Hub());
  EXPECT_EQ(state.fit, Fit::kOther);
  EXPECT_THAT(state.what, HasSubstr("went back"));
  // And when it is longer than the mirror again, which looks like lag 0 to the server.
  writer_->Lead(kOther);
  for (int i = 0; i < 30; ++i) writer_->Put("/new", Cat(i));
  writer_->Flush();
  state = Heard(Hub());
  EXPECT_EQ(state.fit, Fit::kOther);
  EXPECT_THAT(state.what, HasSubstr("gave out again"));
  // It does not take the place of an origin that answers, which is not sealed for it.
  const absl::Status promoted = Promote({.mirror = Leaf()}).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(promoted)) << promoted;
  EXPECT_THAT(std::string(MessageOf(promoted)), HasSubstr("gave out again"));
  EXPECT_EQ(WhyNotServed(Hub()), "");
}

// The mirror copies what comes behind the sequences that it has twice; so it has the later term
// records, the newest one too.
TEST_F(MirrorsTest, LaterTermRecordsDoNotMakeItACopyAgain) {
  AddMirror();
  LoseTail(1);
  const uint64_t twice = writer_->last() + 1;
  for (int leader = 0; leader < 3; ++leader) {
    writer_->Lead(kOther);
    for (int i = 0; i < 5; ++i) writer_->Put("/new", Cat(i));
    writer_->Flush();
  }
  // First this: the mirror may take longer than a connection lasts that nobody serves meanwhile.
  ASSERT_TRUE(WaitForMessages());
  const MirrorState state = Heard(Hub());
  EXPECT_EQ(state.fit, Fit::kOther);
  EXPECT_THAT(state.what, HasSubstr(Cat("at sequence ", twice, " is not there")));
  EXPECT_EQ(state.reached, StreamSeq(0));
  // By a quick look only the newest one is compared.
  auto quick = Api().Mirrors(
      {.bucket = kMirrorBucket, .look = {.terms = jetstream::MirrorsQuestion::Terms::kNewest}});
  ASSERT_TRUE(quick.ok()) << quick.status();
  EXPECT_EQ(quick->front().state.fit, Fit::kFits);
  EXPECT_EQ(quick->front().state.compared, StreamSeq(0));
  // A sequence that was removed before the mirror had it: then what is behind it tells.
  ASSERT_TRUE(Api().Ask("dr", "STREAM.MSG.DELETE.KV_b", {{"seq", twice}}).ok());
  EXPECT_EQ(Heard(Hub()).fit, Fit::kFits) << "all else is the same";
}

TEST_F(MirrorsTest, AHoleInPlaceOfATermRecordIsJudgedByWhatIsBehindIt) {
  AddMirror();
  LoseTail(3);
  const uint64_t twice = writer_->last() + 1;
  ASSERT_TRUE(Api().Ask("dr", "STREAM.MSG.DELETE.KV_b", {{"seq", twice}}).ok());
  for (int leader = 0; leader < 2; ++leader) {
    writer_->Lead(kOther);
    for (int i = 0; i < 5; ++i) writer_->Put("/new", Cat(i));
    writer_->Flush();
  }
  ASSERT_TRUE(WaitForMessages());
  EXPECT_EQ(Heard(Hub()).fit, Fit::kOther);
}

TEST_F(MirrorsTest, WhatWasComparedIsNotComparedAgain) {
  AddMirror();
  writer_->Lead(kOther);
  writer_->Put("/a", "1");
  writer_->Flush();
  ASSERT_TRUE(WaitForAll());
  auto found = Api().Mirrors({.bucket = kMirrorBucket});
  ASSERT_TRUE(found.ok()) << found.status();
  MirrorState state = found->front().state;
  EXPECT_EQ(state.compared.value(), writer_->last() - 1);
  EXPECT_GT(state.made_ns, 0);
  // Whoever knows more is believed, of that very stream.
  state.compared = StreamSeq(10'000);
  const auto again = [&] {
    return Api().Mirrors({.bucket = kMirrorBucket, .look = {.known = {state}}})->front().state;
  };
  EXPECT_EQ(again().fit, Fit::kFits);
  EXPECT_EQ(again().compared, StreamSeq(10'000));
  state.made_ns += 1;
  EXPECT_EQ(again().compared.value(), writer_->last() - 1);
}

// What is at the origin alone is not given up, and the origin goes on.
TEST_F(MirrorsTest, AMirrorThatIsBehindIsNotPromoted) {
  AddMirror();
  const auto info = Api().Ask("dr", "STREAM.INFO.KV_b");
  ASSERT_TRUE(info.ok()) << info.status();
  // It copies nothing any more.
  nlohmann::json config = info->at("config");
  config["max_msgs"] = info->at("state").at("messages");
  config["discard"] = "new";
  ASSERT_TRUE(Api().Ask("dr", "STREAM.UPDATE.KV_b", config).ok());
  writer_->Put("/late", "x");
  writer_->Flush();
  const absl::Status promoted =
      Promote({.mirror = Leaf(), .catch_up = std::chrono::seconds(1)}).status();
  EXPECT_TRUE(absl::IsUnavailable(promoted)) << promoted;
  EXPECT_THAT(std::string(MessageOf(promoted)), HasSubstr("nothing was changed"));
  EXPECT_EQ(WhyNotServed(Hub()), "");
}

TEST_F(MirrorsTest, VerifyFindsAPlantedDifference) {
  AddMirror();
  const auto mirrors = Open(Hub());
  const StreamSource mirror = mirrors->SourceOf(mirrors->Find("").value());
  auto found = VerifyMirror(Hub(), mirror);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->difference.count, 0U);
  EXPECT_EQ(found->origin_hash, found->mirror_hash);
  EXPECT_EQ(found->keys, 6U);
  EXPECT_EQ(found->revision.value(), writer_->revision());
  // The newest of /k5. Above a compaction a hole would be damage; below one nothing shows it.
  const nlohmann::json last = {{"last_by_subj", "$KV.b./k5"}};
  const auto message = Api().Ask("dr", "STREAM.MSG.GET.KV_b", last);
  ASSERT_TRUE(message.ok()) << message.status();
  ASSERT_TRUE(
      Api().Ask("dr", "STREAM.MSG.DELETE.KV_b", {{"seq", message->at("message").at("seq")}}).ok());
  writer_->Compact(writer_->revision());
  writer_->Flush();
  ASSERT_TRUE(WaitForAll());
  found = VerifyMirror(Hub(), mirror);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->difference.count, 1U);
  ASSERT_EQ(found->difference.named.size(), 1U);
  EXPECT_THAT(found->difference.named[0], HasSubstr("key /k5: "));
}

TEST_F(MirrorsTest, TrimLeavesWhatCanBeAskedForAfterTheHorizon) {
  AddMirror();
  const auto mirrors = Open(Hub());
  const StreamSource mirror = mirrors->SourceOf(mirrors->Find("").value());
  EXPECT_FALSE(TrimMirror(mirror, {}).ok()) << "never compacted";
  writer_->Compact(15);
  writer_->Flush();
  ASSERT_TRUE(WaitForAll());
  EXPECT_TRUE(absl::IsFailedPrecondition(TrimMirror(Hub(), {}).status()));
  auto plan = TrimMirror(mirror, {.dry_run = TrimOptions::DryRun::kYes});
  ASSERT_TRUE(plan.ok()) << plan.status();
  // 14 puts up to revision 15, of 7 keys.
  EXPECT_EQ(plan->removed.size(), 7U);
  EXPECT_EQ(plan->horizon, Revision(15));
  const auto messages = [&] { return mirrors->LookAlone("dr").value().stream.state.messages; };
  EXPECT_EQ(messages(), writer_->last());
  plan = TrimMirror(mirror, {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(messages(), writer_->last() - 7);
  EXPECT_EQ(TrimMirror(mirror, {}).value().removed.size(), 0U);
  const auto found = VerifyMirror(Hub(), mirror);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->difference.count, 0U) << found->difference.named.front();
}

TEST_F(MirrorsTest, APromotionSealsAnOriginThatAnswers) {
  AddMirror();
  auto promoted = Promote({.mirror = Leaf()});
  ASSERT_TRUE(promoted.ok()) << promoted.status();
  EXPECT_EQ(promoted->origin, Promotion::Origin::kSealed);
  EXPECT_EQ(promoted->missing, 0U);
  EXPECT_EQ(promoted->newest.value(), writer_->revision());
  EXPECT_EQ(promoted->bumped.value(), writer_->revision() + PromotionOptions::kDefaultBump);
  EXPECT_EQ(promoted->last.value(), writer_->last() + 2);
  EXPECT_EQ(WhyNotServed(Leaf()), "");
  EXPECT_THAT(WhyNotServed(Hub()), HasSubstr("the JetStream domain dr was promoted"));
  const auto read = DumpStream(Leaf(), [](const StreamTransaction&) {});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->revision, promoted->bumped);
  EXPECT_EQ(read->compacted, promoted->bumped);
  EXPECT_TRUE(absl::IsFailedPrecondition(Promote({.mirror = Leaf()}).status())) << "twice";
  // The way back: the old primary becomes a mirror of the new one, and is promoted in its turn.
  const auto mirrors = Open(Leaf());
  EXPECT_TRUE(absl::IsAlreadyExists(mirrors->Add({.domain = "hub"})));
  const absl::Status added =
      mirrors->Add({.domain = "hub", .replace = Mirrors::Replace::kOldPrimary});
  ASSERT_TRUE(added.ok()) << added;
  ASSERT_TRUE(WaitUntil([&] { return State(mirrors.get()).reached == promoted->last; }));
  const auto back = Promote({.mirror = Hub()});
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->newest, promoted->bumped);
  EXPECT_EQ(WhyNotServed(Hub()), "");
}

TEST_F(MirrorsTest, AnOriginThatComesBackIsRefused) {
  AddMirror();
  domains_->hub().Kill();
  const auto look = LookAtPromotion({.mirror = Leaf()});
  ASSERT_TRUE(look.ok()) << look.status();
  EXPECT_EQ(look->origin, Promotion::Origin::kUnreachable);
  const auto promoted = Promote({.mirror = Leaf(), .bump = 5'000});
  ASSERT_TRUE(promoted.ok()) << promoted.status();
  EXPECT_EQ(promoted->origin, Promotion::Origin::kUnreachable);
  EXPECT_EQ(promoted->bumped.value(), writer_->revision() + 5'000);
  EXPECT_EQ(WhyNotServed(Leaf()), "");
  domains_->hub().Restart();
  EXPECT_EQ(Heard(Hub()).fit, Fit::kPromoted);
  EXPECT_THAT(Lead(Hub()), HasSubstr("dr is the primary now"));
  EXPECT_EQ(Lead(Leaf()), "");
}

// Killed in the middle: nobody serves it, and it goes on from there.
TEST_F(MirrorsTest, APromotionThatWasInterruptedIsEndedByTheNext) {
  AddMirror();
  api_.reset();
  auto api = jetstream::ApiSession::Open({.urls = {domains_->leaf().url()}}).value();
  const auto info = api->Ask("", "STREAM.INFO.KV_b");
  ASSERT_TRUE(info.ok()) << info.status();
  const absl::Status begun =
      api->Ask("", "STREAM.UPDATE.KV_b", jetstream::PromotingConfig("b", info->at("config")))
          .status();
  ASSERT_TRUE(begun.ok()) << begun;
  EXPECT_THAT(WhyNotServed(Leaf()), HasSubstr("was begun and not ended"));
  const auto promoted = Promote({.mirror = Leaf()});
  ASSERT_TRUE(promoted.ok()) << promoted.status();
  EXPECT_EQ(promoted->origin, Promotion::Origin::kSealed);
  EXPECT_EQ(WhyNotServed(Leaf()), "");
  EXPECT_THAT(WhyNotServed(Hub()), HasSubstr("was promoted"));
}

}  // namespace
}  // namespace jetd::replication
