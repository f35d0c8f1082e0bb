// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_MESSENGER_H_
#define JETD_JETSTREAM_MESSENGER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace jetd::jetstream {

// Messenger carries what the members of one bucket say to each other: requests and their answers,
// and news to all. It goes over the same connection as the log, and nothing of it is kept anywhere.
// `NatsMessenger` is the real one, `MemoryMessenger` the one in memory; both pass
// messenger_contract_test.
//
// Topics become the subjects below, and an account's permissions need to name no others
// (jetstream/bucket_access.h). `<bucket>` is one token, as is a term.
//   _jetd.<bucket>.lead.<term>   requests to the leader of a term: published and subscribed
//   _jetd.<bucket>.news          what the leader tells all: published and subscribed
//   _jetd.<bucket>.inbox.>       answers, JetStream's too: published and subscribed
//
// What it promises: what one member sends on one topic arrives in order; an answer goes to who
// asked; a request is handed over at most once. It does not promise that anything arrives.
//
// Thread rules: the engine thread's alone; callbacks come there, never from inside a call.
class Messenger {
 public:
  // Gives the answer, on any later turn too; only the first one counts. When the connection is gone
  // it does nothing.
  using AnswerFn = std::function<void(std::string_view answer)>;
  using RequestFn = std::function<void(std::string_view request, AnswerFn answer)>;
  using NewsFn = std::function<void(std::string_view news)>;
  using ReplyFn = std::function<void(absl::StatusOr<std::string> answer)>;

  // A request or an answer beyond this is dropped.
  static constexpr size_t kMaxBytes = 64UL << 20;

  virtual ~Messenger() = default;

  // Requests to `topic` come here, on all connections from now on, until Drop. Who serves a topic
  // may not ask it.
  virtual uint64_t Serve(const std::string& topic, RequestFn on_request) = 0;
  virtual uint64_t Subscribe(const std::string& topic, NewsFn on_news) = 0;
  virtual void Drop(uint64_t id) = 0;

  // One message, at most as large as a record's payload may be. Lost without a connection.
  virtual void Publish(const std::string& topic, std::string_view news) = 0;
  // The answer, or
  //   kNoLeader     nobody serves the topic: nobody has got the request
  //   kUnavailable  there is no connection: it was not sent
  //   kTimeout      no answer within `patience`, or the connection broke: it may have been got
  virtual void Request(const std::string& topic, std::string_view request,
                       std::chrono::nanoseconds patience, ReplyFn done) = 0;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_MESSENGER_H_
