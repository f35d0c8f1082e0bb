// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_NATS_READER_H_
#define JETD_JETSTREAM_NATS_READER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/loop.h"
#include "base/types.h"
#include "jetstream/log.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_connection.h"
#include "jetstream/stream_setup.h"

namespace jetd::jetstream {

// Whether a `KV-Operation` header makes a record a delete.
[[nodiscard]] bool IsDeleteOperation(std::string_view operation);

// What the reply subject of a consumer's message says.
struct DeliveryFacts {
  StreamSeq stream_seq;
  uint64_t consumer_seq = 0;
  int64_t time_ns = 0;
  uint64_t pending = 0;  // records of the consumer's subjects after this one
};
// False if `reply` is not one of "$JS.ACK.…" in either of its two shapes.
[[nodiscard]] bool ParseDelivery(std::string_view reply, DeliveryFacts& out);

// One pass over the stream, from a sequence to its end, by a consumer that exists for this pass
// alone. It asks the stream for its last sequence first, then pulls in windows, so that what is on
// the way is bounded in records and bytes however large the stream is; a gap or a silence makes a
// new consumer behind the last record that came.
//
// A window is as many bytes as came in the last second: at 50 kB/s some 64 KiB, on a fast link 16
// MiB, after three that are smaller. A record that is larger is asked for by itself.
//
// A consumer has no more to give when the rest is deleted or filtered out, or, on a replicated
// stream, when it lives at a replica that is behind. So there its word ends nothing before the
// stream's leader has said that no record is left up to the last sequence; if one is, the replica
// gets it in a moment, and the consumer waits for it.
//
// In a cluster the answer to making a consumer may be there before the server that was asked has
// heard that the consumer listens; a pull then meets nobody. Nothing was taken, so the pull is made
// again, for a while, and then another consumer; only where none of them is heard the connection
// ends.
//
// Owned by a NatsLog, on one connection. The engine thread's alone; calls back from messages and
// timers only. After `done`, or Drop, it calls nobody.
class NatsReader {
 public:
  NatsReader(Loop* loop, NatsConnection* connection, NatsApi* api, StreamOptions stream,
             uint64_t id, Log::ReadOptions options, Log::RecordFn on_record, Log::ReadDoneFn done);
  ~NatsReader();

  // With `follow` the consumer stays, and the stream's leader is asked for nothing.
  void Start();
  // The connection is gone.
  void Fail(const absl::Status& why);
  // The same without telling anybody.
  void Drop();
  [[nodiscard]] bool finished() const { return done_ == nullptr; }

 private:
  void MakeConsumer();
  void OnConsumer(uint64_t round, absl::StatusOr<NatsMessage*> reply);
  // The consumer has no more. Finishes, or waits for more.
  void OnExhausted();
  void AskForMore(size_t filter);
  void OnNextFound(uint64_t round, size_t filter, absl::StatusOr<NatsMessage*> reply);
  [[nodiscard]] std::vector<std::string> Filters() const;
  void Pull();
  // The server that was asked knows of nobody who hears this consumer's pulls.
  void OnUnheard(uint64_t round);
  void PullAgain(uint64_t round);
  // `max_bytes` 0: no bound.
  void Ask(uint64_t records, uint64_t max_bytes);
  void OnMessage(NatsMessage& message);
  void OnStatus(NatsMessage& message, int status);
  void OnRecord(NatsMessage& message);
  void TryAgain(std::string_view why);
  void DropConsumer();
  void Finish(absl::StatusOr<StreamSeq> result);
  void ArmTimer();
  // Nobody wants what it follows any more: it is over.
  bool Unwanted();

  Loop* const loop_;
  NatsConnection* const connection_;
  NatsApi* const api_;
  const StreamOptions stream_;
  const std::string stream_name_;
  const std::string subject_prefix_;
  const uint64_t id_;
  const Log::ReadOptions options_;
  Log::RecordFn on_record_;
  Log::ReadDoneFn done_;
  // Answers to requests hold it weakly.
  std::shared_ptr<NatsReader*> self_;

  int replicas_ = 1;
  StreamSeq target_;  // the stream's last sequence, asked for after the call
  StreamSeq next_;    // first sequence that did not come yet
  int attempts_ = 0;  // consumers in a row that brought nothing
  std::chrono::nanoseconds patience_;
  uint64_t window_bytes_;

  // One consumer's.
  uint64_t round_ = 0;
  std::string consumer_;  // its name; empty: none
  uint64_t subscription_ = 0;
  uint64_t consumer_seq_ = 0;
  uint64_t asked_ = 0;  // records pulled for and not yet here
  int unheard_ = 0;     // pulls since anything came
  uint64_t pending_ = 0;
  // Since the newest window was asked for.
  bool timing_ = false;     // it counts how long that took
  bool caught_up_ = false;  // at some moment the stream had no more to give
  MonoTime pulled_at_{0};
  uint64_t got_bytes_ = 0;
  bool heard_ = false;  // since the timer was armed
  TimerId timer_ = 0;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_NATS_READER_H_
