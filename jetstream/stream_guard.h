// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_STREAM_GUARD_H_
#define JETD_JETSTREAM_STREAM_GUARD_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/loop.h"
#include "jetstream/log.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_connection.h"
#include "jetstream/nats_records.h"
#include "jetstream/stream_setup.h"

namespace jetd::jetstream {

// StreamGuard notices within a second what others do to a stream that jetd alone should write to
// (docs/adr/0041-what-others-do-to-the-stream.md):
//
//   - whatever they publish into the bucket, `nats kv put` for example, comes by on a plain
//     subscription to its subjects. Our own records do not (no echo).
//   - what they ask of JetStream about the stream (purge, delete a message, update, delete the
//     stream) comes by in the same way, on the subjects of these requests.
//   - once a second the stream is asked about: is it the same one, configured as jetd needs it, not
//     shorter than it was, and with as many records as it must have at least?
//
//       at the last look 100 records; 7 appended since; 3 deletions asked for by us
//         ->  at least 104, or somebody else has removed some
//     What is on its way while the server answers may count or not, so under load a few that are
//     gone show only when it ends.
//
// The subscriptions cost nothing while nothing happens, the look some 150 µs of the server's CPU.
//
// The engine thread's; of one connection. `connection` and `api` outlive it, and nothing is called
// after its end.
class StreamGuard {
 public:
  struct Callbacks {
    std::function<void()> published;
    std::function<void(const Meddling&)> meddling;
    // The stream is gone, made anew, shorter, sealed, or with other replicas: the connection is
    // to be made anew. Nothing comes after it.
    std::function<void(const absl::Status& why)> another;
    std::function<NatsRecords::Deletes()> deletes;
  };

  StreamGuard(Loop* loop, NatsConnection* connection, NatsApi* api, const LogInfo& info,
              Callbacks callbacks);
  ~StreamGuard();
  StreamGuard(const StreamGuard&) = delete;
  StreamGuard& operator=(const StreamGuard&) = delete;

  // An append of ours; and its answer.
  void OnSent() { ++counts_.sent; }
  void OnAppended(StreamSeq seq) {
    ++counts_.appended;
    last_ = seq;
  }

 private:
  struct Counts {
    uint64_t sent = 0, appended = 0;
    NatsRecords::Deletes deletes;
  };
  static constexpr std::chrono::milliseconds kPeriod{1'000};
  // From a request that came by to a look at what it did; and how long its effect may take.
  static constexpr std::chrono::milliseconds kSoon{50};

  void Subscribe(NatsConnection* connection);
  void LookAfter(std::chrono::milliseconds delay);
  void Look();
  void OnFacts(const Counts& before, StreamSeq last, absl::StatusOr<StreamFacts> facts);
  [[nodiscard]] absl::Status Another(const StreamFacts& facts, StreamSeq last) const;
  void CompareCount(uint64_t messages, const Counts& before);

  Loop* const loop_;
  NatsConnection* const connection_;
  NatsApi* const api_;
  const LogInfo info_;
  const Callbacks callbacks_;
  std::vector<uint64_t> subscriptions_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  TimerId timer_ = 0;
  bool looking_ = false;
  std::string asked_by_others_;  // what came by since the last look: "purge"
  Counts counts_;                // of ours, since the beginning
  StreamSeq last_;               // newest append that was answered
  // How many records there were at least before any of ours: that many, and what was appended less
  // what was deleted, must be there. Nothing: not counted yet.
  std::optional<int64_t> base_;
  std::string told_config_;  // what is wrong with the configuration, if that was told
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_STREAM_GUARD_H_
