// SPDX-License-Identifier: Apache-2.0
//
// What others do while a mirror is added or promoted, on two real nats-servers.
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <string_view>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "replication/config_lock.h"
#include "replication/mirrored_bucket.h"
#include "replication/promotion.h"

namespace jetd::replication {
namespace {

using jetstream::MirrorDeclaration;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class MirrorRacesTest : public MirroredBucketTest {
 protected:
  // Somebody who knows nothing of locks.
  void EditDeclaration(const MirrorDeclaration& mirror) {
    nlohmann::json config = Ask("hub", "STREAM.INFO").value().at("config");
    jetstream::DeclareMirror(mirror, &config);
    const absl::Status said = Ask("hub", "STREAM.UPDATE", config).status();
    EXPECT_TRUE(said.ok()) << said;
  }
  // nats-server has forgotten it, as after a minute.
  void LoseLock() { ASSERT_TRUE(api_->Ask("", "CONSUMER.DELETE.KV_b.jetctl-config").ok()); }
};

TEST_F(MirrorRacesTest, TwoThatAreAddedAtATimeAreBothDeclared) {
  std::promise<void> waits;
  std::future<absl::Status> second;
  const absl::Status first = mirrors_->Add(
      {.domain = "dr", .name = "a", .say = [&](std::string_view line) {
         if (line != "declaring it") return;
         second = std::async(std::launch::async, [&] {
           return Mirrors::Open(Hub()).value()->Add(
               {.domain = "dr", .name = "b", .say = [&](std::string_view said) {
                  if (said.starts_with("waiting for another")) waits.set_value();
                }});
         });
         EXPECT_EQ(waits.get_future().wait_for(std::chrono::minutes(2)), std::future_status::ready);
       }});
  EXPECT_TRUE(first.ok()) << first;
  const absl::Status other = second.get();
  EXPECT_TRUE(other.ok()) << other;
  EXPECT_THAT(mirrors_->List().value(),
              ElementsAre(MirrorDeclaration{.name = "a", .domain = "dr"},
                          MirrorDeclaration{.name = "b", .domain = "dr"}));
  // Nobody holds it any more.
  EXPECT_TRUE(ConfigLock::Take(api_.get(), "", kStream, nullptr).ok());
}

// Another one has it since.
TEST_F(MirrorRacesTest, ALockThatWasLostIsAnotherOnes) {
  auto first = ConfigLock::Take(api_.get(), "", kStream, nullptr);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE((*first)->Check().ok());
  LoseLock();
  EXPECT_TRUE(absl::IsAborted((*first)->Check()));
  const auto second = ConfigLock::Take(api_.get(), "", kStream, nullptr);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(absl::IsAborted((*first)->Check()));
  first->reset();
  EXPECT_TRUE((*second)->Check().ok());
}

TEST_F(MirrorRacesTest, AnAddThatLostItsLockWritesNothing) {
  const absl::Status added = mirrors_->Add({.domain = "dr", .say = [&](std::string_view line) {
                                              if (line == "declaring it") LoseLock();
                                            }});
  EXPECT_TRUE(absl::IsAborted(added)) << added;
  EXPECT_TRUE(mirrors_->List().value().empty());
}

TEST_F(MirrorRacesTest, AnOldPrimaryIsNotDeletedWithoutTheLock) {
  AddMirror();
  ASSERT_TRUE(Promote({.mirror = Leaf()}).ok());
  const auto added = Mirrors::Open(Leaf()).value()->Add(
      {.domain = "hub",
       .replace = Mirrors::Replace::kOldPrimary,
       .say = [&](std::string_view line) {
         if (line != "deleting the old primary") return;
         ASSERT_TRUE(api_->Ask("dr", "CONSUMER.DELETE.KV_b.jetctl-config").ok());
       }});
  EXPECT_TRUE(absl::IsAborted(added)) << added;
  EXPECT_TRUE(Sealed("hub"));
}

// It is put in order again by what is there then, not by what was read in the beginning.
TEST_F(MirrorRacesTest, AnAddThatFailsTakesBackItsOwnAlone) {
  const MirrorDeclaration before{.name = "dr", .domain = "dr", .cap_records = 7};
  const MirrorDeclaration slipped_in{.name = "z", .domain = "dr", .cap_records = 3};
  EditDeclaration(before);
  const absl::Status added = mirrors_->Add(
      {.domain = "dr", .cap_records = 9, .say = [&](std::string_view line) {
         if (line == "declaring it") EditDeclaration(slipped_in);
         if (line != "making its stream") return;
         EXPECT_THAT(mirrors_->List().value(),
                     ElementsAre(MirrorDeclaration{.name = "dr", .domain = "dr", .cap_records = 9},
                                 slipped_in));
         HandWriter elsewhere(domains_->leaf().url());
         elsewhere.Lead("ffeeddccbbaa99887766554433221100");
         elsewhere.Flush();
       }});
  EXPECT_TRUE(absl::IsAlreadyExists(added)) << added;
  EXPECT_THAT(mirrors_->List().value(), ElementsAre(before, slipped_in));
}

// While it was not declared nobody waited for it: it may lack what was removed.
TEST_F(MirrorRacesTest, AMirrorThatWasLeftIsReadBeforeItIsTakenAgain) {
  AddMirror();
  ASSERT_TRUE(mirrors_->Remove("dr", Mirrors::Data::kKeep).ok());
  const nlohmann::json key = {{"seq", 5}};
  ASSERT_TRUE(Ask("dr", "STREAM.MSG.DELETE", key).ok());
  writer_->Compact(writer_->revision());
  writer_->Flush();
  ASSERT_TRUE(WaitForAll());
  const absl::Status added = mirrors_->Add({.domain = "dr"});
  EXPECT_TRUE(absl::IsFailedPrecondition(added)) << added;
  EXPECT_THAT(std::string(MessageOf(added)), HasSubstr("was not declared, and differs: key /k3"));
  EXPECT_TRUE(mirrors_->List().value().empty());
}

// A seal writes the whole configuration too.
TEST_F(MirrorRacesTest, WhatIsDeclaredBeforeTheSealStaysDeclared) {
  AddMirror();
  const MirrorDeclaration slipped_in{.name = "z", .domain = "far", .cap_records = 3};
  PromotionOptions options;
  options.mirror = Leaf();
  options.say = [&](std::string_view line) {
    if (line == "sealing the origin") EditDeclaration(slipped_in);
  };
  const auto promoted = Promote(options);
  ASSERT_TRUE(promoted.ok()) << promoted.status();
  EXPECT_EQ(promoted->origin, Promotion::Origin::kSealed);
  EXPECT_THAT(mirrors_->List().value(),
              ElementsAre(MirrorDeclaration{.name = "dr", .domain = "dr"}, slipped_in));
}

// The records that come between the reading and the seal are read too, before the mirror takes any
// of its own.
TEST_F(MirrorRacesTest, WhatComesBeforeTheSealIsReadToo) {
  AddMirror();
  PromotionOptions options;
  options.mirror = Leaf();
  options.say = [&](std::string_view line) {
    if (line != "sealing the origin") return;
    for (const char* key : {"/x", "/y", "/z"}) writer_->Put(key, "late");
    writer_->Flush();
    ASSERT_TRUE(WaitForAll());
    const nlohmann::json lost = {{"seq", writer_->last() - 1}};
    ASSERT_TRUE(Ask("dr", "STREAM.MSG.DELETE", lost).ok());
  };
  const absl::Status promoted = Promote(options).status();
  EXPECT_FALSE(promoted.ok());
  EXPECT_THAT(std::string(MessageOf(promoted)), HasSubstr("the origin is sealed, and has what"));
  const auto facts = mirrors_->LookAlone("dr");
  ASSERT_TRUE(facts.ok()) << facts.status();
  EXPECT_TRUE(facts->mirrors);
  EXPECT_FALSE(facts->promoting);
}

}  // namespace
}  // namespace jetd::replication
