// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nats_room.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/strings.h"

namespace jetd::jetstream {
namespace {

struct Question {
  std::optional<absl::StatusOr<StreamFacts>> stream;
  std::optional<nlohmann::json> account;
  Log::RoomFn done;

  void FinishIfBoth() const {
    if (!stream.has_value() || !account.has_value()) return;
    if (!stream->ok()) return done(stream->status());
    done(RoomOf(**stream, *account));
  }
};

void Bound(RoomInfo* room, int64_t limit, uint64_t used, uint64_t each, const char* by) {
  if (limit <= 0) return;
  const auto most = static_cast<uint64_t>(limit);
  const uint64_t free_bytes = (most - std::min(most, used)) / each;
  if (free_bytes >= room->free_bytes) return;
  room->free_bytes = free_bytes;
  room->bound = by;
}

}  // namespace

RoomInfo RoomOf(const StreamFacts& stream, const nlohmann::json& account) {
  RoomInfo room;
  room.state = stream.state;
  Bound(&room, stream.max_bytes, stream.state.bytes, 1, "the stream's max_bytes");
  const nlohmann::json* part = &account;
  auto each = static_cast<uint64_t>(std::max(1, stream.replicas));
  if (const auto tiers = account.find("tiers"); tiers != account.end() && tiers->is_object()) {
    const auto tier = tiers->find(Cat("R", stream.replicas));
    if (tier != tiers->end() && tier->is_object()) {
      part = &*tier;
      each = 1;
    }
  }
  const auto limits = part->find("limits");
  if (limits == part->end() || !limits->is_object()) return room;
  Bound(&room, IntegerOf(*limits, "max_storage", -1),
        static_cast<uint64_t>(std::max<int64_t>(0, IntegerOf(*part, "storage", 0))), each,
        "the account's limit");
  return room;
}

void NatsRoom::Ask(Log::RoomFn done) {
  auto question = std::make_shared<Question>();
  question->done = std::move(done);
  if (*account_is_silent_) question->account = nlohmann::json::object();
  AskStream(api_, stream_, [question](absl::StatusOr<StreamFacts> facts) {
    question->stream = std::move(facts);
    question->FinishIfBoth();
  });
  if (*account_is_silent_) return;
  api_->Request(api_->Subject("INFO"), "",
                [question, silent = account_is_silent_](const absl::StatusOr<NatsMessage*>& reply) {
                  *silent = GetErrc(reply.status()) == Errc::kTimeout;
                  question->account =
                      reply.ok() ? ParseAnswer((*reply)->payload()) : nlohmann::json::object();
                  question->FinishIfBoth();
                });
}

}  // namespace jetd::jetstream
