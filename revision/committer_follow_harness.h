// SPDX-License-Identifier: Apache-2.0
//
// For tests: several members of one bucket, without their network, on a fake clock.
#ifndef JETD_REVISION_COMMITTER_FOLLOW_HARNESS_H_
#define JETD_REVISION_COMMITTER_FOLLOW_HARNESS_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "revision/committer_harness.h"

namespace jetd::revision {

class FollowWorld : public ::testing::Test {
 protected:
  // With `value_budget_bytes`, values beyond it are in files.
  std::unique_ptr<Member> Start(const std::string& name, jetstream::MemoryLog::Options options = {},
                                std::optional<size_t> value_budget_bytes = {},
                                std::optional<size_t> max_held_bytes = {}) {
    auto member =
        std::make_unique<Member>(&exec_, &stream_, name, std::move(options), value_budget_bytes, "",
                                 std::nullopt, &post_, max_held_bytes);
    Settle();
    return member;
  }
  void Settle(std::chrono::milliseconds time = std::chrono::milliseconds(300)) {
    exec_.RunDeferred();
    exec_.Advance(time);
  }
  static void Disconnect(Member* member) {
    member->log.Disconnect();
    member->messenger->Disconnect();
  }
  static void Reconnect(Member* member) {
    member->messenger->Reconnect();
    member->log.Reconnect();
  }
  static bool Ok(const Member::PendingOp& op) { return op->answer.has_value() && op->answer->ok(); }
  std::string StaleGet(Member* member, const std::string& key) {
    auto answer = member->Range({.keys = {key, {}}, .serializable = true});
    if (!answer || !answer->ok()) return "no answer";
    return (*answer)->kvs.empty() ? std::string() : std::string((*answer)->kvs[0]->value());
  }
  std::optional<absl::Status> HandOver(Member* from) {
    auto answer = std::make_shared<std::optional<absl::Status>>();
    from->committer->HandOver(0, [answer](const absl::Status& status) { *answer = status; });
    Settle(std::chrono::milliseconds(2'000));
    return *answer;
  }

  FakeExecutor exec_;
  jetstream::MemoryStream stream_;
  jetstream::MemoryPost post_;
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_COMMITTER_FOLLOW_HARNESS_H_
