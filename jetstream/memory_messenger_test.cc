// SPDX-License-Identifier: Apache-2.0
#include "jetstream/memory_messenger.h"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fake_executor.h"
#include "jetstream/messenger_contract_test.h"

namespace jetd::jetstream {
namespace {

class MemoryMessengerWorld : public MessengerWorld {
 public:
  MemoryMessengerWorld() {
    for (int i = 0; i < 3; ++i) {
      members_.push_back(std::make_unique<MemoryMessenger>(&exec_, &post_));
    }
  }
  Messenger& member(int number) override { return *members_[static_cast<size_t>(number)]; }
  bool RunUntil(const std::function<bool()>& done) override {
    exec_.RunDeferred();
    for (int i = 0; i < 1'000 && !done(); ++i) exec_.Advance(std::chrono::milliseconds(1));
    return done();
  }
  void Settle() override { exec_.RunDeferred(); }
  void Break(int number) override { members_[static_cast<size_t>(number)]->Disconnect(); }
  void Restore(int number) override { members_[static_cast<size_t>(number)]->Reconnect(); }

 private:
  FakeExecutor exec_;
  MemoryPost post_;
  std::vector<std::unique_ptr<MemoryMessenger>> members_;
};

INSTANTIATE_TEST_SUITE_P(Memory, MessengerContractTest,
                         testing::Values(MessengerWorldFactory{
                             "Memory", [] { return std::make_unique<MemoryMessengerWorld>(); }}),
                         [](const auto& info) { return info.param.name; });

TEST(MemoryMessengerTest, AFrozenMemberHearsLater) {
  FakeExecutor exec;
  MemoryPost post;
  MemoryMessenger one(&exec, &post);
  MemoryMessenger two(&exec, &post);
  std::string heard;
  two.Subscribe("news", [&](std::string_view news) { heard += news; });
  two.Freeze();
  one.Publish("news", "a");
  one.Publish("news", "b");
  exec.RunDeferred();
  EXPECT_EQ(heard, "");
  two.Thaw();
  exec.RunDeferred();
  EXPECT_EQ(heard, "ab");
}

TEST(MemoryMessengerTest, WhatIsSlowStaysInOrder) {
  FakeExecutor exec;
  MemoryPost post;
  std::chrono::milliseconds delay{20};
  MemoryMessenger one(&exec, &post);
  MemoryMessenger two(&exec, &post, {.delay = [&] { return delay; }, .lose = nullptr});
  std::string heard;
  two.Subscribe("news", [&](std::string_view news) { heard += news; });
  one.Publish("news", "a");
  delay = std::chrono::milliseconds(0);
  one.Publish("news", "b");
  exec.Advance(std::chrono::milliseconds(10));
  EXPECT_EQ(heard, "");
  two.Freeze();
  exec.Advance(std::chrono::milliseconds(10));
  one.Publish("news", "c");
  EXPECT_EQ(heard, "");
  two.Thaw();
  exec.Advance(std::chrono::milliseconds(10));
  EXPECT_EQ(heard, "abc");
}

TEST(MemoryMessengerTest, WhatIsLostIsNotAnswered) {
  FakeExecutor exec;
  MemoryPost post;
  bool lose = false;
  const MemoryMessengerFaults faults{.delay = nullptr, .lose = [&] { return lose; }};
  MemoryMessenger one(&exec, &post, faults);
  MemoryMessenger two(&exec, &post, faults);
  int asked = 0;
  two.Serve("lead.1", [&](std::string_view, const Messenger::AnswerFn& answer) {
    ++asked;
    lose = asked == 1;
    answer("x");
  });
  std::vector<Errc> answers;
  const auto ask = [&] {
    one.Request("lead.1", "", std::chrono::seconds(1), [&](const absl::StatusOr<std::string>& a) {
      answers.push_back(GetErrc(a.status()));
    });
    exec.Advance(std::chrono::seconds(2));
  };
  ask();
  EXPECT_EQ(asked, 1) << "the answer was lost";
  ask();
  EXPECT_EQ(asked, 1) << "and this request";
  lose = false;
  ask();
  two.set_island(1);
  ask();
  EXPECT_EQ(asked, 2);
  EXPECT_EQ(answers, (std::vector{Errc::kTimeout, Errc::kTimeout, Errc::kNone, Errc::kNoLeader}));
}

}  // namespace
}  // namespace jetd::jetstream
