// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_STREAM_SETUP_H_
#define JETD_JETSTREAM_STREAM_SETUP_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "jetstream/log.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_connection.h"
#include "nlohmann/json.hpp"

namespace jetd::jetstream {

// Which stream it is, and what a new one is made with. An existing one is taken with what it has.
struct StreamOptions {
  std::string bucket;
  // Its name, where it is not the bucket's own: a mirror's. The subjects in it are the bucket's.
  std::string stream = {};
  int replicas = 1;
  int64_t max_bytes = -1;  // no limit of its own
  // One that nobody serves as it is will do too (CheckUnserved), and none is made.
  bool unserved = false;
};

// What an answer to STREAM.INFO or STREAM.CREATE says.
struct StreamFacts {
  StreamState state;
  int64_t max_bytes = -1;  // -1: no limit
  absl::Status usable;     // by its configuration; asked by AskStream only
  int replicas = 1;
  int64_t created_ns = 0;
  // Of the stream that it mirrors; of itself if it mirrors none; 0: a mirror that does not say.
  int64_t origin_created_ns = 0;
  bool sealed = false;             // nobody writes into it any more
  uint64_t num_deleted = 0;        // between first and last
  std::vector<StreamSeq> deleted;  // those, ascending, if they were asked for
};

[[nodiscard]] std::string StreamName(const std::string& bucket);  // "KV_<bucket>"
[[nodiscard]] std::string StreamName(const StreamOptions& options);
// A bucket's name as NATS's KV takes it: letters, digits, `-`, `_`.
[[nodiscard]] bool IsBucketName(const std::string& bucket);

// The configuration of a new bucket's stream: one that NATS's own KV tools open, with what DESIGN
// asks for on top.
[[nodiscard]] nlohmann::json NewStreamConfig(const StreamOptions& options);

// OK if a stream with this configuration is a jetd bucket that this version can serve; otherwise
// FailedPrecondition with what is wrong and what to do about it, for people.
[[nodiscard]] absl::Status CheckStreamConfig(const std::string& bucket,
                                             const nlohmann::json& config);
// The same for who reads it or brings it into shape: a mirror of the whole of such a bucket will do
// too, a stream that is sealed, or one that is being promoted.
[[nodiscard]] absl::Status CheckUnserved(const std::string& bucket, const nlohmann::json& config);

// Unavailable if the answer is not of the expected shape.
[[nodiscard]] absl::StatusOr<StreamFacts> FactsOf(const nlohmann::json& answer);

// Finds the bucket's stream and checks it, or makes it. Never changes one that is there. `done`
// gets FailedPrecondition for what no patience mends. The engine thread; `api` outlives it.
// `may_create` is asked before one is made; its error is handed to `done`.
void SetUpStream(NatsApi* api, const StreamOptions& options,
                 std::function<absl::Status()> may_create,
                 std::function<void(absl::StatusOr<StreamFacts>)> done);

// Calls `changed` whenever somebody has edited the stream: with its facts, or with
// FailedPrecondition if this version cannot serve it any more. The server tells of an edit, but not
// across domains, nor whom it lets not hear it: then nothing is told. For the connection's life.
void WatchStream(NatsConnection* connection, NatsApi* api, const std::string& bucket,
                 std::function<void(const absl::StatusOr<StreamFacts>&)> changed);

// Whether an answer names all sequences that are deleted: 8 bytes or so for each.
enum class Deleted { kCounted, kNamed };

// Asks for the stream's facts as they are now. NotFound: there is none.
void AskStream(NatsApi* api, const StreamOptions& options,
               std::function<void(absl::StatusOr<StreamFacts>)> done,
               Deleted deleted = Deleted::kCounted);

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_STREAM_SETUP_H_
