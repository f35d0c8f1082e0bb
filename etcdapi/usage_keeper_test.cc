// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/usage_keeper.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/fake_executor.h"
#include "base/log.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using namespace std::chrono_literals;

class UsageKeeperTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log::Init({.level = log::Level::kError});
    std::string name = std::filesystem::temp_directory_path() / "jetd_usage_XXXXXX";
    JETD_CHECK(mkdtemp(name.data()) != nullptr) << name;
    root_ = name;
    owner_ = UsageOwner{.bucket = "acme", .cluster_id = "c", .member_id = "m"};
  }
  void TearDown() override {
    keeper_.reset();
    std::filesystem::remove_all(root_);
  }

  // A process that counts from 0; the one before it was killed.
  void Start() {
    keeper_.reset();
    asked_ = 0;
    UsageKeeper::Sources sources;
    sources.root = root_;
    sources.owner = [this] { return owner_; };
    sources.counters = [this] { return UsageCounters{.requests = {{"Put", asked_}}}; };
    sources.messages = [this] { return asked_; };
    keeper_ = std::make_unique<UsageKeeper>(&exec_, std::move(sources));
  }
  void Ask(uint64_t times) {
    asked_ += times;
    keeper_->Look();
  }
  [[nodiscard]] uint64_t Samples() const { return ReadUsageSamples(root_ + "/c-m").size(); }
  [[nodiscard]] uint64_t Kept() const {
    const auto samples = ReadUsageSamples(root_ + "/c-m");
    return samples.empty() ? 0 : samples.back().all.requests.at("Put");
  }

  FakeExecutor exec_;
  std::string root_;
  std::optional<UsageOwner> owner_;
  uint64_t asked_ = 0;
  std::unique_ptr<UsageKeeper> keeper_;
};

TEST_F(UsageKeeperTest, KeepsAMinuteAfterSomethingWasAsked) {
  Start();
  for (int i = 0; i < 1'000; ++i) Ask(1);
  EXPECT_EQ(exec_.timers(), 1U);
  EXPECT_EQ(Samples(), 0U);
  exec_.Advance(59s);
  Ask(5);
  EXPECT_EQ(Samples(), 0U);
  exec_.Advance(1s);
  EXPECT_EQ(Samples(), 1U);
  EXPECT_EQ(Kept(), 1'005U);
  Ask(1);
  exec_.Advance(1min);
  EXPECT_EQ(Kept(), 1'006U);
}

TEST_F(UsageKeeperTest, NothingAskedSetsNoTimer) {
  Start();
  Ask(1);
  exec_.Advance(1min);
  for (int i = 0; i < 59; ++i) {
    keeper_->Look();
    EXPECT_EQ(exec_.timers(), 0U);
    exec_.Advance(1min);
  }
  EXPECT_EQ(Samples(), 1U);
  // CPU time and watches are still to be counted, when it is awake for something else.
  exec_.Advance(1min);
  keeper_->Look();
  exec_.Advance(1min);
  EXPECT_EQ(Samples(), 2U);
  keeper_->Look();
  EXPECT_EQ(exec_.timers(), 0U);
}

TEST_F(UsageKeeperTest, ProcessesAddUp) {
  Start();
  Ask(10);
  exec_.Advance(1min);
  Ask(3);
  Start();  // the 3 are lost with the one that was killed
  EXPECT_EQ(keeper_->before().all, UsageCounters{}) << "it does not know whose it is";
  Ask(2);
  EXPECT_EQ(keeper_->before().all.requests.at("Put"), 10U);
  keeper_->Save();
  EXPECT_EQ(Kept(), 12U);
  Start();
  keeper_->Look();
  EXPECT_EQ(keeper_->before().all.requests.at("Put"), 12U);
  EXPECT_EQ(keeper_->folder(), root_ + "/c-m");
}

TEST_F(UsageKeeperTest, WaitsUntilItIsKnownWhose) {
  const UsageOwner known = *std::exchange(owner_, std::nullopt);
  Start();
  Ask(4);
  keeper_->Save();
  EXPECT_EQ(exec_.timers(), 0U);
  EXPECT_EQ(Samples(), 0U);
  owner_ = known;
  Ask(1);
  exec_.Advance(1min);
  EXPECT_EQ(Kept(), 5U);
}

TEST_F(UsageKeeperTest, WithoutAFolderThisProcessCounts) {
  const std::string root = std::exchange(root_, "/proc/nowhere");
  for (const char* place : {"", "/proc/nowhere"}) {
    root_ = place;
    Start();
    Ask(4);
    keeper_->Save();
    EXPECT_EQ(keeper_->folder(), "");
    EXPECT_EQ(keeper_->before().all, UsageCounters{});
    EXPECT_EQ(keeper_->before().record.size(), 32U);
    EXPECT_EQ(keeper_->before().owner, *owner_);
    // There is nothing to try again where no folder is named.
    EXPECT_EQ(exec_.timers(), root_.empty() ? 0U : 1U);
  }
  root_ = root;
}

TEST_F(UsageKeeperTest, AFolderThatCanBeMadeLaterHasAllOfIt) {
  std::filesystem::remove(root_);
  std::ofstream(root_) << "in its place";
  Start();
  Ask(4);
  exec_.Advance(1min);
  EXPECT_EQ(keeper_->folder(), "");
  std::filesystem::remove(root_);
  // Nothing more was asked.
  keeper_->Look();
  exec_.Advance(1min);
  EXPECT_EQ(keeper_->folder(), root_ + "/c-m");
  EXPECT_EQ(Kept(), 4U);
  EXPECT_EQ(keeper_->before().all, UsageCounters{}) << "nothing is counted twice";
  Ask(1);
  exec_.Advance(1min);
  EXPECT_EQ(Kept(), 5U);
  keeper_->Look();
  EXPECT_EQ(exec_.timers(), 0U);
}

TEST_F(UsageKeeperTest, WaitsForTheProcessBeforeIt) {
  auto before = UsageRecord::Open(root_, *owner_, 0);
  ASSERT_TRUE(before.ok()) << before.status();
  Start();
  Ask(3);
  exec_.Advance(1min);
  EXPECT_EQ(keeper_->folder(), "") << "somebody else keeps it";
  // What that one writes at its end counts too.
  ASSERT_TRUE((*before)->Append(1, {.requests = {{"Put", 10}}}).ok());
  before->reset();
  Ask(2);
  exec_.Advance(1min);
  EXPECT_EQ(keeper_->before().all.requests.at("Put"), 10U);
  EXPECT_EQ(Kept(), 15U);
}

TEST_F(UsageKeeperTest, ADiskThatIsBackHasAllOfIt) {
  Start();
  Ask(1);
  // A folder in the place of the file.
  std::filesystem::create_directories(root_ + "/c-m/minutes");
  exec_.Advance(1min);
  EXPECT_EQ(Samples(), 0U);
  std::filesystem::remove(root_ + "/c-m/minutes");
  Ask(1);
  exec_.Advance(1min);
  EXPECT_EQ(Kept(), 2U);
}

}  // namespace
}  // namespace jetd::etcdapi
