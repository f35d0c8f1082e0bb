// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_NATS_MESSAGE_H_
#define JETD_JETSTREAM_NATS_MESSAGE_H_

#include <string_view>
#include <utility>

struct __natsMsg;  // NOLINT(bugprone-reserved-identifier): nats.c's own tag

namespace jetd::jetstream {

// A message as nats.c delivered it, and its owner. Views live as long as the message. One thread.
class NatsMessage {
 public:
  explicit NatsMessage(__natsMsg* msg) : msg_(msg) {}
  ~NatsMessage();
  NatsMessage(NatsMessage&& other) noexcept : msg_(std::exchange(other.msg_, nullptr)) {}
  NatsMessage& operator=(NatsMessage&&) = delete;

  [[nodiscard]] std::string_view subject() const;
  [[nodiscard]] std::string_view reply() const;
  [[nodiscard]] std::string_view payload() const;
  // First value of a header line, names as spelled on the wire; empty if it is not there.
  [[nodiscard]] std::string_view Header(const char* name) const;
  // The number of a NATS status line (404, 409, 503, …), 0 for an ordinary message.
  [[nodiscard]] int status() const;

 private:
  __natsMsg* msg_;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_NATS_MESSAGE_H_
