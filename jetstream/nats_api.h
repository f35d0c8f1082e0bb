// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_NATS_API_H_
#define JETD_JETSTREAM_NATS_API_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/loop.h"
#include "jetstream/nats_connection.h"
#include "nlohmann/json.hpp"

namespace jetd::jetstream {

// "$JS.API.", or "$JS.<domain>.API." for a JetStream domain.
[[nodiscard]] std::string ApiPrefix(const std::string& domain);

// An error of the JetStream API, as its JSON carries it. 0: no error.
struct ApiError {
  int code = 0;      // as in HTTP
  int err_code = 0;  // JetStream's own number
  std::string description;
};
// Looks for the member `error` of an answer.
[[nodiscard]] ApiError ApiErrorOf(const nlohmann::json& answer);
// JSON of an answer; an object without members if it is none.
[[nodiscard]] nlohmann::json ParseAnswer(std::string_view payload);

// A member of an object, or what to take if it is not there or of another type.
[[nodiscard]] int64_t IntegerOf(const nlohmann::json& object, const char* member,
                                int64_t otherwise);
[[nodiscard]] std::string TextOf(const nlohmann::json& object, const char* member);

// Numbers of JetStream errors that jetd acts upon (NATS's list of JetStream errors).
namespace js_error {
inline constexpr int kNotEnabledForAccount = 10039;
inline constexpr int kNoMessageFound = 10037;
inline constexpr int kSequenceNotFound = 10043;
inline constexpr int kDeleteFailed = 10057;
inline constexpr int kStreamNotFound = 10059;
inline constexpr int kStreamNameInUse = 10058;
inline constexpr int kWrongLastSequence = 10071;
inline constexpr int kWrongLastSequenceUnnamed = 10164;
inline constexpr int kConsumerNotFound = 10014;
inline constexpr int kConsumerExists = 10148;
inline constexpr int kConsumerNameTaken = 10013;  // while two make it at a time
}  // namespace js_error

// Requests to the JetStream API on one connection, and their answers. The engine thread's alone. It
// never calls back from inside a call.
class NatsApi {
 public:
  // The answer, or kUnavailable: the connection ended; or kTimeout.
  using ReplyFn = std::function<void(absl::StatusOr<NatsMessage*>)>;

  // `connection` outlives it.
  NatsApi(Loop* loop, NatsConnection* connection, std::string prefix,
          std::chrono::nanoseconds timeout);
  ~NatsApi();

  // "$JS.API." or with a domain "$JS.<domain>.API.", and `rest`.
  [[nodiscard]] std::string Subject(std::string_view rest) const;

  void Request(const std::string& subject, std::string_view payload, ReplyFn done,
               std::span<const NatsConnection::HeaderLine> headers = {});

  // Calls back all that is pending with `why`, in order of the requests. Later requests have no
  // answer at all.
  void Fail(const absl::Status& why);
  // The same without telling anybody.
  void Drop();

 private:
  struct Pending {
    MonoTime deadline;
    ReplyFn done;
  };
  void OnReply(NatsMessage& message);
  void ArmTimer();
  void OnTimer();

  Loop* const loop_;
  NatsConnection* const connection_;
  const std::string prefix_;
  const std::chrono::nanoseconds timeout_;
  const std::string inbox_;  // with the dot at its end
  bool failed_ = false;
  uint64_t next_ = 1;
  std::map<uint64_t, Pending> pending_;  // all have the same patience: the first is the oldest
  TimerId timer_ = 0;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_NATS_API_H_
