// SPDX-License-Identifier: Apache-2.0
//
// Forwarders on real committers and peers, without a network, on a clock that stands still.
#include "etcdapi/forwarder.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/etcdpb/rpc.pb.h"
#include "base/fake_executor.h"
#include "etcdapi/status_map.h"
#include "gtest/gtest.h"
#include "jetstream/memory_log.h"
#include "jetstream/memory_messenger.h"
#include "jetstream/memory_stream.h"
#include "revision/committer_harness.h"

namespace jetd::etcdapi {
namespace {

using revision::Member;
using revision::Peers;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kOwnId = 77;
constexpr size_t kMaxBytes = 1'000;

std::string AnswerOf(uint64_t member_id) {
  etcdserverpb::PutResponse response;
  response.mutable_header()->set_member_id(member_id);
  response.mutable_header()->set_revision(5);
  return response.SerializeAsString();
}

// A member and its forwarder; calls that come to it wait until the test answers them.
struct Node {
  Node(FakeExecutor* exec_in, jetstream::MemoryStream* stream, jetstream::MemoryPost* post,
       const std::string& name)
      : exec(exec_in),
        member(exec, stream, name, {}, std::nullopt, "", std::nullopt, post),
        forwarder(
            exec, &*member.committer, &*member.peers, kOwnId,
            [this](const std::string& /*method*/, const std::string& request,
                   const Forwarder::DoneFn& done) {
              run.push_back(request);
              done(rpc::Status(), AnswerOf(kOwnId));
            },
            kMaxBytes) {
    member.peers->set_call_handler(
        [this](std::string_view /*method*/, std::string_view request, Peers::CallDone done) {
          came.emplace_back(request);
          answers.push_back(std::move(done));
        });
  }
  // What is under way ends while there is a forwarder.
  ~Node() {
    member.committer->Stop();
    exec->RunDeferred();
  }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  FakeExecutor* const exec;
  Member member;
  Forwarder forwarder;
  std::vector<std::string> run;  // here, since this member came to lead
  std::vector<std::string> came;
  std::vector<Peers::CallDone> answers;
};

class ForwarderTest : public ::testing::Test {
 protected:
  std::unique_ptr<Node> Start(const std::string& name) {
    auto node = std::make_unique<Node>(&exec_, &stream_, &post_, name);
    Settle();
    return node;
  }
  void Settle(milliseconds time = milliseconds(300)) {
    exec_.RunDeferred();
    exec_.Advance(time);
  }
  struct Answer {
    std::optional<rpc::Status> status;
    std::string text;
  };
  std::shared_ptr<Answer> Forward(Node* node, const std::string& request) {
    auto answer = std::make_shared<Answer>();
    node->forwarder.Forward("etcdserverpb.KV/Put", request,
                            [answer](const rpc::Status& status, const std::string& text) {
                              EXPECT_FALSE(answer->status.has_value()) << "answered twice";
                              answer->status = status;
                              answer->text = text;
                            });
    return answer;
  }
  static std::string ErrorOf(const Answer& answer) {
    return answer.status.has_value() ? answer.status->message() : "no answer";
  }

  FakeExecutor exec_;
  jetstream::MemoryStream stream_;
  jetstream::MemoryPost post_;
};

TEST_F(ForwarderTest, TheLeadersAnswerComesInOnesOwnName) {
  auto a = Start("a");
  auto b = Start("b");
  EXPECT_FALSE(a->forwarder.Wanted());
  ASSERT_TRUE(b->forwarder.Wanted());
  const auto answer = Forward(b.get(), "x");
  Settle();
  ASSERT_EQ(a->came, std::vector<std::string>{"x"});
  a->answers[0]({.code = 0, .text = "", .response = AnswerOf(1)});
  Settle();
  ASSERT_TRUE(answer->status.has_value() && answer->status->ok()) << ErrorOf(*answer);
  EXPECT_EQ(answer->text, AnswerOf(kOwnId));
}

// So that a client reads here what it wrote.
TEST_F(ForwarderTest, AnAnswerWaitsForItsRevision) {
  auto a = Start("a");
  auto b = Start("b");
  b->member.log.Hold(jetstream::MemoryLog::Leg::kApi);
  const auto answer = Forward(b.get(), "x");
  a->member.Put("k", "v");
  Settle();
  ASSERT_EQ(a->came.size(), 1U);
  a->answers[0]({.code = 0, .text = "", .response = AnswerOf(1)});
  Settle();
  EXPECT_EQ(ErrorOf(*answer), "no answer");
  b->member.log.Release(jetstream::MemoryLog::Leg::kApi);
  Settle();
  EXPECT_TRUE(answer->status.has_value() && answer->status->ok()) << ErrorOf(*answer);
  EXPECT_EQ(b->member.store.committed(), a->member.store.committed());
}

TEST_F(ForwarderTest, AnErrorOfTheLeaderIsTheAnswer) {
  auto a = Start("a");
  auto b = Start("b");
  const auto answer = Forward(b.get(), "x");
  Settle();
  ASSERT_EQ(a->came.size(), 1U);
  a->answers[0](
      {.code = static_cast<int>(rpc::Code::kNotFound), .text = "no such lease", .response = ""});
  Settle();
  ASSERT_TRUE(answer->status.has_value());
  EXPECT_EQ(answer->status->code(), rpc::Code::kNotFound);
  EXPECT_EQ(ErrorOf(*answer), "no such lease");
}

// It may have happened: it is not tried again, and nobody is told that it did not.
TEST_F(ForwarderTest, ALeaderThatDiesOverACallLeavesItsFateUnknown) {
  auto a = Start("a");
  auto b = Start("b");
  auto c = Start("c");
  const auto answer = Forward(b.get(), "x");
  Settle();
  ASSERT_EQ(a->came.size(), 1U);
  a.reset();
  Settle(seconds(3));
  EXPECT_EQ(ErrorOf(*answer), "etcdserver: request timed out");
  EXPECT_TRUE(b->run.empty());
  EXPECT_TRUE(b->came.empty());
  EXPECT_TRUE(c->came.empty());
}

TEST_F(ForwarderTest, AFrozenLeaderLeavesItUnknownToo) {
  auto a = Start("a");
  auto b = Start("b");
  a->member.messenger->Freeze();
  const auto answer = Forward(b.get(), "x");
  Settle(seconds(2));
  EXPECT_EQ(ErrorOf(*answer), "etcdserver: request timed out");
}

TEST_F(ForwarderTest, WhatWasNotTakenGoesToTheNextLeader) {
  auto a = Start("a");
  auto b = Start("b");
  const auto answer = Forward(b.get(), "x");
  Settle();
  ASSERT_EQ(a->came.size(), 1U);
  const rpc::Status no_leader = ToGrpc(Refusal::kNoLeader);
  a->answers[0](
      {.code = static_cast<int>(no_leader.code()), .text = no_leader.message(), .response = ""});
  Settle(milliseconds(20));
  ASSERT_EQ(a->came.size(), 2U) << "asked again";
  a->answers[1](
      {.code = static_cast<int>(no_leader.code()), .text = no_leader.message(), .response = ""});
  a.reset();
  Settle(seconds(2));
  ASSERT_TRUE(b->member.committer->leading());
  EXPECT_EQ(b->run, std::vector<std::string>{"x"});
  EXPECT_TRUE(answer->status.has_value() && answer->status->ok()) << ErrorOf(*answer);
}

TEST_F(ForwarderTest, WithoutALeaderItEndsInTime) {
  auto a = Start("a");
  auto b = Start("b");
  a.reset();
  b->member.log.Disconnect();
  b->member.messenger->Disconnect();
  Settle(milliseconds(10));
  const auto answer = Forward(b.get(), "x");
  Settle(milliseconds(4'500));
  EXPECT_EQ(ErrorOf(*answer), "no answer");
  Settle(milliseconds(1'000));
  EXPECT_EQ(ErrorOf(*answer), ToGrpc(Refusal::kNoLeader).message());
}

TEST_F(ForwarderTest, CallsUnderWayAreBounded) {
  auto a = Start("a");
  auto b = Start("b");
  const std::string quarter(kMaxBytes / 4, 'x');
  std::vector<std::shared_ptr<Answer>> answers;
  for (int i = 0; i < 5; ++i) answers.push_back(Forward(b.get(), quarter));
  Settle();
  ASSERT_EQ(a->came.size(), 4U);
  EXPECT_EQ(ErrorOf(*answers[4]), "etcdserver: too many requests");
  a->answers[0]({.code = 0, .text = "", .response = AnswerOf(1)});
  Settle();
  EXPECT_EQ(ErrorOf(*answers[0]), "");
  EXPECT_EQ(ErrorOf(*Forward(b.get(), quarter)), "no answer") << "there is room again";
  Settle();
}

}  // namespace
}  // namespace jetd::etcdapi
