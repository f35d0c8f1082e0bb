// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nats_message.h"

#include <nats/nats.h>

#include <charconv>

namespace jetd::jetstream {
namespace {

std::string_view OrEmpty(const char* text) { return text == nullptr ? "" : text; }

}  // namespace

void MessageBin::Put(natsMsg* msg) {
  // What the message takes beside its payload is a few hundred bytes.
  bytes_ += static_cast<size_t>(natsMsg_GetDataLength(msg));
  messages_.push_back(msg);
  if (messages_.size() >= kMaxMessages || bytes_ >= kMaxBytes) Empty();
}

void MessageBin::Empty() {
  for (natsMsg* msg : messages_) natsMsg_Destroy(msg);
  messages_.clear();
  bytes_ = 0;
}

std::string_view NatsMessage::subject() const { return OrEmpty(natsMsg_GetSubject(msg_)); }

std::string_view NatsMessage::reply() const { return OrEmpty(natsMsg_GetReply(msg_)); }

std::string_view NatsMessage::payload() const {
  const int size = natsMsg_GetDataLength(msg_);
  return size <= 0 ? std::string_view()
                   : std::string_view(natsMsg_GetData(msg_), static_cast<size_t>(size));
}

std::string_view NatsMessage::Header(const char* name) const {
  const char* value = nullptr;
  return natsMsgHeader_Get(msg_, name, &value) == NATS_OK ? OrEmpty(value) : std::string_view();
}

int NatsMessage::status() const {
  const std::string_view text = Header("Status");
  int status = 0;
  std::from_chars(text.data(), text.data() + text.size(), status);
  return status;
}

}  // namespace jetd::jetstream
