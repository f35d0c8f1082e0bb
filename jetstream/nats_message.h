// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_NATS_MESSAGE_H_
#define JETD_JETSTREAM_NATS_MESSAGE_H_

#include <cstddef>
#include <string_view>
#include <vector>

struct __natsMsg;  // NOLINT(bugprone-reserved-identifier): nats.c's own tag

namespace jetd::jetstream {

// Destroys messages many at a time. nats.c hands each one to a thread of its own to be freed, and
// waking that thread costs several times what freeing costs; for a batch it is woken once.
//
// Holds at most kMaxMessages and kMaxBytes, then destroys all. One thread.
class MessageBin {
 public:
  static constexpr size_t kMaxMessages = 128;
  static constexpr size_t kMaxBytes = 256UL << 10;

  MessageBin() = default;
  ~MessageBin() { Empty(); }
  MessageBin(const MessageBin&) = delete;
  MessageBin& operator=(const MessageBin&) = delete;

  void Put(__natsMsg* msg);
  void Empty();

 private:
  std::vector<__natsMsg*> messages_;
  size_t bytes_ = 0;
};

// A message as nats.c delivered it, and its owner. Views live as long as the message. One thread.
class NatsMessage {
 public:
  // `bin` lives longer.
  NatsMessage(__natsMsg* msg, MessageBin* bin) : msg_(msg), bin_(bin) {}
  ~NatsMessage() { bin_->Put(msg_); }
  NatsMessage(const NatsMessage&) = delete;
  NatsMessage& operator=(const NatsMessage&) = delete;

  [[nodiscard]] std::string_view subject() const;
  [[nodiscard]] std::string_view reply() const;
  [[nodiscard]] std::string_view payload() const;
  // First value of a header line, names as spelled on the wire; empty if it is not there.
  [[nodiscard]] std::string_view Header(const char* name) const;
  // The number of a NATS status line (404, 409, 503, …), 0 for an ordinary message.
  [[nodiscard]] int status() const;

 private:
  __natsMsg* const msg_;
  MessageBin* const bin_;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_NATS_MESSAGE_H_
