// SPDX-License-Identifier: Apache-2.0
//
// What others do while a mirror is added or promoted, on two real nats-servers.
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jetstream/nats_test_domains.h"
#include "replication/config_lock.h"
#include "replication/mirror_fixture.h"
#include "replication/mirrors.h"
#include "replication/promotion.h"

namespace jetd::replication {
namespace {

using jetstream::MirrorDeclaration;
using jetstream::NatsTestDomains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kStream[] = "KV_b";

class MirrorRacesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log::Init({.level = log::Level::kError});
    domains_ = NatsTestDomains::Start();
    if (domains_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    writer_ = std::make_unique<HandWriter>(domains_->hub().url());
    writer_->Lead("00112233445566778899aabbccddeeff");
    for (int i = 0; i < 10; ++i) writer_->Put(Cat("/k", i), "v");
    writer_->Flush();
    api_ = jetstream::ApiSession::Open({.urls = {domains_->hub().url()}}).value();
    mirrors_ = Mirrors::Open(Hub()).value();
  }
  [[nodiscard]] StreamSource Hub() const {
    return {.bucket = kMirrorBucket, .nats_urls = {domains_->hub().url()}};
  }
  [[nodiscard]] StreamSource Leaf() const {
    return {.bucket = kMirrorBucket, .nats_urls = {domains_->leaf().url()}};
  }
  // Somebody who knows nothing of locks.
  void EditDeclaration(const MirrorDeclaration& mirror) {
    nlohmann::json config = api_->Ask("hub", Cat("STREAM.INFO.", kStream)).value().at("config");
    jetstream::DeclareMirror(mirror, &config);
    const absl::Status said = api_->Ask("hub", Cat("STREAM.UPDATE.", kStream), config).status();
    EXPECT_TRUE(said.ok()) << said;
  }
  [[nodiscard]] bool WaitForAll() {
    return WaitUntil([this] {
      const auto facts = mirrors_->LookAlone("dr");
      return facts.ok() && facts->stream.state.last.value() == writer_->last();
    });
  }

  std::unique_ptr<NatsTestDomains> domains_;
  std::unique_ptr<HandWriter> writer_;
  std::unique_ptr<jetstream::ApiSession> api_;
  std::unique_ptr<Mirrors> mirrors_;
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

// nats-server has forgotten the lock, and another one has it since.
TEST_F(MirrorRacesTest, ALockThatWasLostIsAnotherOnes) {
  auto first = ConfigLock::Take(api_.get(), "", kStream, nullptr);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE((*first)->Check().ok());
  ASSERT_TRUE(api_->Ask("", "CONSUMER.DELETE.KV_b.jetctl-config").ok());
  EXPECT_TRUE(absl::IsAborted((*first)->Check()));
  const auto second = ConfigLock::Take(api_.get(), "", kStream, nullptr);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_TRUE(absl::IsAborted((*first)->Check()));
  first->reset();
  EXPECT_TRUE((*second)->Check().ok());
}

TEST_F(MirrorRacesTest, AnAddThatLostItsLockWritesNothing) {
  const absl::Status added =
      mirrors_->Add({.domain = "dr", .say = [&](std::string_view line) {
                       if (line != "declaring it") return;
                       ASSERT_TRUE(api_->Ask("", "CONSUMER.DELETE.KV_b.jetctl-config").ok());
                     }});
  EXPECT_TRUE(absl::IsAborted(added)) << added;
  EXPECT_TRUE(mirrors_->List().value().empty());
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
  ASSERT_TRUE(mirrors_->Add({.domain = "dr"}).ok());
  ASSERT_TRUE(WaitForAll());
  ASSERT_TRUE(mirrors_->Remove("dr", Mirrors::Data::kKeep).ok());
  const nlohmann::json key = {{"seq", 5}};
  ASSERT_TRUE(api_->Ask("dr", "STREAM.MSG.DELETE.KV_b", key).ok());
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
  ASSERT_TRUE(mirrors_->Add({.domain = "dr"}).ok());
  ASSERT_TRUE(WaitForAll());
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
  ASSERT_TRUE(mirrors_->Add({.domain = "dr"}).ok());
  ASSERT_TRUE(WaitForAll());
  PromotionOptions options;
  options.mirror = Leaf();
  options.say = [&](std::string_view line) {
    if (line != "sealing the origin") return;
    for (const char* key : {"/x", "/y", "/z"}) writer_->Put(key, "late");
    writer_->Flush();
    ASSERT_TRUE(WaitForAll());
    const nlohmann::json lost = {{"seq", writer_->last() - 1}};
    ASSERT_TRUE(api_->Ask("dr", "STREAM.MSG.DELETE.KV_b", lost).ok());
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
