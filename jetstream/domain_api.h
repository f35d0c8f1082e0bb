// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_DOMAIN_API_H_
#define JETD_JETSTREAM_DOMAIN_API_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/loop.h"
#include "jetstream/nats_connection.h"
#include "nlohmann/json.hpp"

namespace jetd::jetstream {

// Rare requests to the JetStream API of any domain that a connection reaches, one after the other
// or some at a time; sent in the order of the calls.
// Unlike NatsApi it may ask a domain that is cut off: that nobody listens there is an answer, and
// not the end of the connection.
// Patience is for the time in which the loop runs: of that in which the process stands still, with
// its whole machine say, a fifth of it counts at most.
//
// The engine thread's; of one connection, which outlives it, as does `loop`; two of one connection
// have different names. It never calls back from inside a call, and nobody after its end.
class DomainApi {
 public:
  // The answer's JSON. NotFound: there is no such stream, consumer or message. AlreadyExists: a
  // stream or consumer of that name. kTimeout; kUnavailable: nobody listens there, or another error
  // of JetStream's, in its words.
  using AnswerFn = std::function<void(absl::StatusOr<nlohmann::json>)>;

  DomainApi(Loop* loop, NatsConnection* connection, std::chrono::nanoseconds timeout,
            size_t at_a_time = 1, std::string_view name = "d");
  ~DomainApi();
  DomainApi(const DomainApi&) = delete;
  DomainApi& operator=(const DomainApi&) = delete;

  // `domain` empty: the one that the server is in. `rest`: "STREAM.INFO.KV_b".
  void Ask(const std::string& domain, std::string_view rest, std::string payload, AnswerFn done);
  // Calls back all that wait. Later questions have no answer at all.
  void Fail(const absl::Status& why);

 private:
  struct Question {
    std::string domain, subject, payload;
    AnswerFn done;
  };

  struct Asked {
    std::string domain, subject;
    AnswerFn done;
    uint64_t subscription = 0;
    TimerId timer = 0;
  };

  void Next();
  void Send(Question question);
  void Wait(uint64_t number, int parts);
  [[nodiscard]] std::string InboxOf(uint64_t number) const;
  void Settle(uint64_t number, absl::StatusOr<nlohmann::json> answer);

  Loop* const loop_;
  NatsConnection* const connection_;
  const std::chrono::nanoseconds timeout_;
  const size_t at_a_time_;
  const std::string inbox_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::deque<Question> waiting_;
  std::map<uint64_t, Asked> asked_;  // under way, by number
  bool failed_ = false;
  uint64_t number_ = 0;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_DOMAIN_API_H_
