// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_NATS_ROOM_H_
#define JETD_JETSTREAM_NATS_ROOM_H_

#include <memory>
#include <utility>

#include "jetstream/log.h"
#include "jetstream/nats_api.h"
#include "jetstream/stream_setup.h"
#include "nlohmann/json.hpp"

namespace jetd::jetstream {

// The room from what a server says of the stream and of the account; `account` may be empty. An
// account may have limits for each number of replicas (tiers); otherwise what is stored counts once
// for each replica. Pure.
[[nodiscard]] RoomInfo RoomOf(const StreamFacts& stream, const nlohmann::json& account);

// Asks an outside server how much room it leaves to a stream: its max_bytes, and the account's
// storage. A user who may not ask about the account gets no answer, and is not asked for again.
//
// The engine thread's; of one connection. `api` outlives it.
class NatsRoom {
 public:
  NatsRoom(NatsApi* api, StreamOptions stream) : api_(api), stream_(std::move(stream)) {}

  void Ask(Log::RoomFn done);

 private:
  NatsApi* const api_;
  const StreamOptions stream_;
  // Outlives this in what was asked.
  const std::shared_ptr<bool> account_is_silent_ = std::make_shared<bool>(false);
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_NATS_ROOM_H_
