// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nats_messenger.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/strings.h"

namespace jetd::jetstream {
namespace {

// Below the smallest max_payload in use, and small enough to let other messages in between.
constexpr size_t kPieceBytes = 256UL << 10;
// Requests of one topic whose last piece has not come. Beyond: the oldest names are forgotten, and
// their senders hear nothing.
constexpr size_t kMaxPartial = 256;

constexpr char kWhole = 'W';
constexpr char kFirst = 'F';
constexpr char kMore = 'M';
constexpr char kLast = 'L';
constexpr char kNotTaken = 'N';

}  // namespace

NatsMessenger::NatsMessenger(Loop* loop, const std::string& bucket)
    : loop_(loop), prefix_(Cat("_jetd.", bucket, ".")) {}

NatsMessenger::~NatsMessenger() {
  for (const auto& [id, slot] : slots_) loop_->Cancel(slot.timer);
}

void NatsMessenger::Attach(NatsConnection* connection) {
  link_ = std::make_shared<Link>(Link{connection});
  for (const auto& [id, topic] : topics_) Listen(id);
}

void NatsMessenger::Detach() {
  link_.reset();
  for (auto& [id, topic] : topics_) {
    topic.subscription = 0;
    topic.partial.clear();
  }
  free_slots_.clear();
  for (auto& [id, slot] : std::exchange(slots_, {})) {
    loop_->Cancel(slot.timer);
    if (slot.done) Later(std::move(slot.done), MakeError(Errc::kTimeout, "the connection broke"));
  }
}

void NatsMessenger::Later(ReplyFn done, absl::Status why) {
  loop_->Defer([alive = std::weak_ptr<char>(alive_), done = std::move(done), why = std::move(why)] {
    if (!alive.expired()) done(why);
  });
}

// ---- Listening ----------------------------------------------------------------------------------

uint64_t NatsMessenger::Serve(const std::string& topic, RequestFn on_request) {
  topics_[next_] = {.subject = prefix_ + topic, .on_request = std::move(on_request)};
  if (link_ != nullptr) Listen(next_);
  return next_++;
}

uint64_t NatsMessenger::Subscribe(const std::string& topic, NewsFn on_news) {
  topics_[next_] = {.subject = prefix_ + topic, .on_news = std::move(on_news)};
  if (link_ != nullptr) Listen(next_);
  return next_++;
}

void NatsMessenger::Listen(uint64_t id) {
  Topic& topic = topics_[id];
  topic.subscription = link_->connection->Subscribe(
      topic.subject, [this, id](NatsMessage& message) { OnMessage(id, message); });
}

void NatsMessenger::Drop(uint64_t id) {
  auto node = topics_.extract(id);
  if (node.empty() || link_ == nullptr) return;
  link_->connection->Unsubscribe(node.mapped().subscription);
}

void NatsMessenger::OnMessage(uint64_t id, NatsMessage& message) {
  const auto it = topics_.find(id);
  if (it == topics_.end()) return;
  Topic& topic = it->second;
  // A handler may drop the topic.
  if (topic.on_news) return NewsFn(topic.on_news)(message.payload());
  std::string_view text = message.payload();
  std::string reply(message.reply());
  if (text.empty() || reply.empty()) return;
  const char piece = text.front();
  text.remove_prefix(1);
  const RequestFn on_request = topic.on_request;
  if (piece == kWhole) return on_request(text, AnswerTo(std::move(reply)));
  if (piece == kFirst) {
    if (topic.partial.size() == kMaxPartial) topic.partial.erase(topic.partial.begin());
    topic.partial[reply] = std::string(text);
    return;
  }
  const auto begun = topic.partial.find(reply);
  if (begun == topic.partial.end() || begun->second.size() + text.size() > kMaxBytes) {
    if (begun != topic.partial.end()) topic.partial.erase(begun);
    if (piece == kLast) link_->connection->Publish(reply, "", std::string_view(&kNotTaken, 1));
    return;
  }
  begun->second.append(text);
  if (piece != kLast) return;
  const std::string whole = std::move(topic.partial.extract(begun).mapped());
  on_request(whole, AnswerTo(std::move(reply)));
}

Messenger::AnswerFn NatsMessenger::AnswerTo(std::string reply) const {
  return [weak = std::weak_ptr<Link>(link_), reply = std::move(reply)](std::string_view answer) {
    if (const auto link = weak.lock()) Send(link->connection, reply, "", answer);
  };
}

// ---- Sending ------------------------------------------------------------------------------------

void NatsMessenger::Send(NatsConnection* connection, const std::string& subject,
                         const std::string& reply, std::string_view text) {
  char piece = text.size() <= kPieceBytes ? kWhole : kFirst;
  std::string message;
  while (true) {
    const std::string_view part = text.substr(0, kPieceBytes);
    text.remove_prefix(part.size());
    if (piece == kMore && text.empty()) piece = kLast;
    message.assign(1, piece);
    message.append(part);
    connection->Publish(subject, reply, message);
    if (text.empty()) return;
    piece = kMore;
  }
}

void NatsMessenger::Publish(const std::string& topic, std::string_view news) {
  if (link_ != nullptr) link_->connection->Publish(prefix_ + topic, "", news);
}

uint64_t NatsMessenger::TakeSlot() {
  if (!free_slots_.empty()) {
    const uint64_t id = free_slots_.back();
    free_slots_.pop_back();
    return id;
  }
  const uint64_t id = next_++;
  Slot& slot = slots_[id];
  NatsConnection* const connection = link_->connection;
  slot.subject = Cat(connection->inbox(), ".m.", id);
  slot.subscription = connection->Subscribe(
      slot.subject, [this, id](const NatsMessage& message) { OnReply(id, message); },
      [this, id] {
        const auto it = slots_.find(id);
        if (it == slots_.end()) return;
        Settle(id, MakeError(Errc::kNoLeader, "nobody serves it"),
               it->second.in_pieces ? Reuse::kNo : Reuse::kYes);
      });
  return id;
}

void NatsMessenger::Request(const std::string& topic, std::string_view request,
                            std::chrono::nanoseconds patience, ReplyFn done) {
  if (link_ == nullptr) {
    return Later(std::move(done), MakeError(Errc::kUnavailable, "not connected to NATS"));
  }
  const uint64_t id = TakeSlot();
  Slot& slot = slots_[id];
  slot.done = std::move(done);
  slot.answer.clear();
  slot.in_pieces = request.size() > kPieceBytes;
  slot.timer = loop_->RunAfter(patience, [this, id] {
    Settle(id, MakeError(Errc::kTimeout, "no answer in time"), Reuse::kNo);
  });
  Send(link_->connection, prefix_ + topic, slot.subject, request);
}

void NatsMessenger::OnReply(uint64_t id, const NatsMessage& message) {
  const auto it = slots_.find(id);
  std::string_view text = message.payload();
  if (it == slots_.end() || !it->second.done || text.empty()) return;
  const char piece = text.front();
  text.remove_prefix(1);
  Slot& slot = it->second;
  if (piece == kNotTaken) {
    return Settle(id, MakeError(Errc::kNoLeader, "it was not taken"), Reuse::kNo);
  }
  if (slot.answer.size() + text.size() > kMaxBytes) {
    return Settle(id, MakeError(Errc::kTimeout, "the answer is too large"), Reuse::kNo);
  }
  slot.answer.append(text);
  if (piece == kWhole || piece == kLast) Settle(id, std::move(slot.answer), Reuse::kYes);
}

void NatsMessenger::Settle(uint64_t id, absl::StatusOr<std::string> answer, Reuse reuse) {
  const auto it = slots_.find(id);
  if (it == slots_.end() || !it->second.done) return;
  Slot& slot = it->second;
  loop_->Cancel(slot.timer);
  const ReplyFn done = std::exchange(slot.done, nullptr);
  if (reuse == Reuse::kYes && free_slots_.size() < kKeptSlots) {
    free_slots_.push_back(id);
  } else {
    link_->connection->Unsubscribe(slot.subscription);
    slots_.erase(it);
  }
  done(std::move(answer));
}

}  // namespace jetd::jetstream
