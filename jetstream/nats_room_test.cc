// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nats_room.h"

#include <chrono>
#include <optional>
#include <string>

#include "base/loop.h"
#include "gtest/gtest.h"
#include "jetstream/nats_log.h"
#include "jetstream/nats_test_server.h"
#include "jetstream/silent_observer.h"
#include "jetstream/subject.h"

namespace jetd::jetstream {
namespace {

using nlohmann::json;

StreamFacts Stream(uint64_t bytes, int64_t max_bytes, int replicas) {
  StreamFacts facts;
  facts.state.bytes = bytes;
  facts.max_bytes = max_bytes;
  facts.replicas = replicas;
  return facts;
}

json Account(int64_t max_storage, int64_t storage) {
  return {{"storage", storage}, {"limits", {{"max_storage", max_storage}}}};
}

TEST(NatsRoomTest, TheNearestBoundCounts) {
  EXPECT_EQ(RoomOf(Stream(10, -1, 1), json::object()).free_bytes, RoomInfo::kUnbounded);
  EXPECT_EQ(RoomOf(Stream(10, -1, 1), Account(-1, 10)).free_bytes, RoomInfo::kUnbounded);
  const RoomInfo own = RoomOf(Stream(10, 100, 1), Account(1000, 500));
  EXPECT_EQ(own.free_bytes, 90U);
  EXPECT_EQ(own.bound, "the stream's max_bytes");
  EXPECT_EQ(own.state.bytes, 10U);
  const RoomInfo account = RoomOf(Stream(10, 1000, 1), Account(600, 500));
  EXPECT_EQ(account.free_bytes, 100U);
  EXPECT_EQ(account.bound, "the account's limit");
  EXPECT_EQ(RoomOf(Stream(10, -1, 1), Account(600, 700)).free_bytes, 0U) << "beyond it";
}

TEST(NatsRoomTest, ReplicasCountInAFlatAccountAndNotInATier) {
  EXPECT_EQ(RoomOf(Stream(10, -1, 3), Account(600, 300)).free_bytes, 100U);
  json tiers = Account(600, 300);
  tiers["tiers"] = {{"R1", Account(50, 0)}, {"R3", Account(900, 200)}};
  EXPECT_EQ(RoomOf(Stream(10, -1, 3), tiers).free_bytes, 700U);
  EXPECT_EQ(RoomOf(Stream(10, -1, 1), tiers).free_bytes, 50U);
}

// What a real server says, whose account may store a megabyte.
TEST(NatsRoomTest, ARealAccount) {
  const auto server = NatsTestServer::StartFrom(
      "JETD_NATS_SERVER",
      "accounts { A { jetstream: { max_file: 1048576 }, users: [ { user: a, password: p } ] } }\n"
      "no_auth_user: a\n");
  if (server == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER is not set";
  Loop loop;
  NatsLogOptions options;
  options.endpoint = RotateEndpoints({server->url()}, {});
  options.stream = {.bucket = "B"};
  NatsLog log(&loop, options);
  class Observer : public SilentObserver {
   public:
    explicit Observer(NatsLog* log) : log_(log) {}
    void OnConnected(const LogInfo& /*info*/) override {
      log_->Append(StreamSeq(1), {.subject = "$KV.B.k", .payload = std::string(10'000, 'x')});
    }
    void OnAppended(StreamSeq /*seq*/) override { on_appended(); }
    std::function<void()> on_appended;

   private:
    NatsLog* const log_;
  } observer(&log);
  std::optional<RoomInfo> room;
  observer.on_appended = [&] {
    log.Room([&](absl::StatusOr<RoomInfo> answer) {
      if (answer.ok()) room = *std::move(answer);
      loop.Stop();
    });
  };
  loop.Defer([&] {
    log.Open(&observer, [&](const absl::Status& why) {
      ADD_FAILURE() << why;
      loop.Stop();
    });
  });
  loop.Run();
  log.Close();
  ASSERT_TRUE(room.has_value());
  EXPECT_GT(room->state.bytes, 10'000U);
  EXPECT_EQ(room->free_bytes, 1'048'576U - room->state.bytes);
  EXPECT_EQ(room->bound, "the account's limit");
}

}  // namespace
}  // namespace jetd::jetstream
