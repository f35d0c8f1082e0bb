// SPDX-License-Identifier: Apache-2.0
#include "jetstream/memory_messenger.h"

#include <memory>
#include <vector>

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

}  // namespace
}  // namespace jetd::jetstream
