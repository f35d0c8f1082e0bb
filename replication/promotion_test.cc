// SPDX-License-Identifier: Apache-2.0
//
// Which mirrors take the place of an origin that answers, on two real nats-servers.
#include "replication/promotion.h"

#include <string>

#include "base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jetstream/stream_setup.h"
#include "replication/mirrored_bucket.h"

namespace jetd::replication {
namespace {

using jetstream::MirrorState;
using ::testing::HasSubstr;
using Differences = PromotionOptions::Differences;

class PromotionTest : public MirroredBucketTest {
 protected:
  // A hole that no reader of the mirror notices: what lies there was compacted since.
  void LoseAKey(const std::string& subject) {
    const auto newest = Ask("dr", "STREAM.MSG.GET", {{"last_by_subj", subject}}).value();
    ASSERT_TRUE(Ask("dr", "STREAM.MSG.DELETE", {{"seq", newest.at("message").at("seq")}}).ok());
    writer_->Compact(writer_->revision());
    writer_->Flush();
    ASSERT_TRUE(WaitForAll());
  }
};

TEST_F(PromotionTest, AMirrorWhoseStateDiffersIsRefused) {
  AddMirror();
  LoseAKey("$KV.b./k5");
  PromotionOptions options{.mirror = Leaf()};
  const absl::Status refused = Promote(options).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(MessageOf(refused)), HasSubstr("key /k5: "));
  EXPECT_FALSE(Sealed("hub"));
  options.differences = Differences::kAccept;
  const auto promoted = Promote(options);
  ASSERT_TRUE(promoted.ok()) << promoted.status();
  EXPECT_EQ(promoted->origin, Promotion::Origin::kSealed);
  EXPECT_EQ(promoted->uncompared, "nobody asked for it");
  EXPECT_TRUE(Sealed("hub"));
}

// A leader has written down what it had found, and goes.
TEST_F(PromotionTest, WhatAJetdFoundIsKnownToAll) {
  AddMirror();
  const auto made_ns = mirrors_->LookAlone("dr")->stream.created_ns;
  writer_->Alarm({jetstream::AlarmType::kMirror, static_cast<uint64_t>(made_ns)});
  writer_->Flush();
  ASSERT_TRUE(WaitForAll());
  const auto reports = mirrors_->Look();
  ASSERT_TRUE(reports.ok()) << reports.status();
  EXPECT_EQ(reports->front().state.fit, MirrorState::Fit::kOther);
  EXPECT_THAT(reports->front().state.what, HasSubstr("has compared its records"));
  EXPECT_TRUE(absl::IsFailedPrecondition(mirrors_->Add({.domain = "dr"})));
  PromotionOptions options{.mirror = Leaf()};
  EXPECT_TRUE(absl::IsFailedPrecondition(Promote(options).status()));
  EXPECT_FALSE(Sealed("hub"));
  // Without its origin it is all that is left, for who knows what was said of it.
  domains_->hub().Kill();
  const absl::Status refused = Promote(options).status();
  EXPECT_THAT(std::string(MessageOf(refused)),
              HasSubstr("jetd had found records here that differ"));
  options.differences = Differences::kAccept;
  const auto promoted = Promote(options);
  ASSERT_TRUE(promoted.ok()) << promoted.status();
  EXPECT_FALSE(promoted->doubted.empty());
}

// Its origin forgets what was found of it, in a record that it copies too.
TEST_F(PromotionTest, AMirrorThatIsKeptAndIsNoCopySaysSoItself) {
  AddMirror();
  const auto made_ns = mirrors_->LookAlone("dr")->stream.created_ns;
  writer_->Alarm({jetstream::AlarmType::kMirror, static_cast<uint64_t>(made_ns)});
  writer_->Flush();
  ASSERT_TRUE(WaitForAll());
  const absl::Status removed = mirrors_->Remove("dr", Mirrors::Data::kKeep);
  ASSERT_TRUE(removed.ok()) << removed;
  writer_->Alarm({jetstream::AlarmType::kCorrupt, 1});
  writer_->Flush();
  ASSERT_TRUE(WaitForAll());
  EXPECT_EQ(mirrors_->Look("dr")->front().state.fit, MirrorState::Fit::kOther);
  EXPECT_TRUE(absl::IsFailedPrecondition(mirrors_->Add({.domain = "dr"})));
  PromotionOptions options{.mirror = Leaf()};
  EXPECT_TRUE(absl::IsFailedPrecondition(Promote(options).status()));
  domains_->hub().Kill();
  const absl::Status refused = Promote(options).status();
  EXPECT_THAT(std::string(MessageOf(refused)), HasSubstr("has compared its records"));
  options.differences = Differences::kAccept;
  const auto promoted = Promote(options);
  ASSERT_TRUE(promoted.ok()) << promoted.status();
}

TEST_F(PromotionTest, AMirrorThatIsKeptAndCannotBeAskedMayBeNoCopy) {
  AddMirror();
  const auto made_ns = mirrors_->LookAlone("dr")->stream.created_ns;
  ASSERT_TRUE(WaitForAll());
  domains_->leaf().Kill();
  writer_->Alarm({jetstream::AlarmType::kMirror, static_cast<uint64_t>(made_ns)});
  writer_->Flush();
  const absl::Status kept = mirrors_->Remove("dr", Mirrors::Data::kKeep);
  EXPECT_THAT(std::string(MessageOf(kept)), HasSubstr("does not answer"));
  EXPECT_EQ(mirrors_->List()->size(), 1U);
  // It is not this one that was found, or that was long ago.
  writer_->Alarm({jetstream::AlarmType::kCorrupt, 1});
  writer_->Flush();
  EXPECT_TRUE(mirrors_->Remove("dr", Mirrors::Data::kKeep).ok());
}

TEST_F(PromotionTest, WhatWasFoundOfAnEarlierMirrorIsNotSaidOfThisOne) {
  writer_->Alarm({jetstream::AlarmType::kMirror, 1'700'000'000'000'000'000});
  writer_->Flush();
  AddMirror();
  EXPECT_EQ(mirrors_->Look()->front().state.fit, MirrorState::Fit::kFits);
  domains_->hub().Kill();
  const auto look = LookAtPromotion({.mirror = Leaf()});
  ASSERT_TRUE(look.ok()) << look.status();
  EXPECT_EQ(look->doubted, "");
}

class CrowdedOriginTest : public PromotionTest {
 protected:
  void MakeStream() override {
    nlohmann::json config = jetstream::NewStreamConfig({.bucket = kMirrorBucket});
    config["max_consumers"] = 1;
    ASSERT_TRUE(Ask("hub", "STREAM.CREATE", config).ok());
  }
};

// It answers, and that is all it can do.
TEST_F(CrowdedOriginTest, IsSealedThoughItMakesNoConsumers) {
  AddMirror();
  const nlohmann::json somebodys = {{"stream_name", kStream},
                                    {"config", {{"durable_name", "x"}, {"ack_policy", "none"}}}};
  const absl::Status made =
      api_->Ask("hub", Cat("CONSUMER.DURABLE.CREATE.", kStream, ".x"), somebodys).status();
  ASSERT_TRUE(made.ok()) << made;
  const auto promoted = Promote({.mirror = Leaf()});
  ASSERT_TRUE(promoted.ok()) << promoted.status();
  EXPECT_EQ(promoted->origin, Promotion::Origin::kSealed);
  EXPECT_THAT(promoted->uncompared, HasSubstr("the origin: "));
  EXPECT_TRUE(Sealed("hub"));
}

}  // namespace
}  // namespace jetd::replication
