// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_NATS_MESSENGER_H_
#define JETD_JETSTREAM_NATS_MESSENGER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/loop.h"
#include "jetstream/messenger.h"
#include "jetstream/nats_connection.h"

namespace jetd::jetstream {

// The Messenger on the connections of a NatsLog, which tells it of each (NatsLogOptions).
//
// A request or an answer larger than a message may be goes in pieces; the first byte of a message
// says which piece it is:
//   W  whole      F  the first of several      M  one in between      L  the last
//   N  (an answer) not taken: a first piece was missing, so nobody has got the request
// Each request under way has a reply subject of its own, taken from a pool, since the word "nobody
// listens" names nothing but that. One that ended in any other way than by an answer or that word
// leaves the pool, so that what still comes for it means nothing; and so do those beyond
// kKeptSlots, each of which is a subscription that nats-server counts.
//
// The engine thread's alone; `loop` outlives it.
class NatsMessenger : public Messenger {
 public:
  NatsMessenger(Loop* loop, const std::string& bucket);
  ~NatsMessenger() override;
  NatsMessenger(const NatsMessenger&) = delete;
  NatsMessenger& operator=(const NatsMessenger&) = delete;

  // For NatsLog: a connection was started, and is about to be stopped.
  void Attach(NatsConnection* connection);
  void Detach();

  // Reply subjects that are listened to.
  [[nodiscard]] size_t slots() const { return slots_.size(); }
  static constexpr size_t kKeptSlots = 128;

  // Messenger.
  uint64_t Serve(const std::string& topic, RequestFn on_request) override;
  uint64_t Subscribe(const std::string& topic, NewsFn on_news) override;
  void Drop(uint64_t id) override;
  void Publish(const std::string& topic, std::string_view news) override;
  void Request(const std::string& topic, std::string_view request,
               std::chrono::nanoseconds patience, ReplyFn done) override;

 private:
  // A topic that somebody here listens to.
  struct Topic {
    std::string subject;
    RequestFn on_request;  // one of them
    NewsFn on_news;
    uint64_t subscription = 0;
    std::map<std::string, std::string> partial;  // requests in pieces, by their reply subject
  };
  // A reply subject, and the request that waits there.
  struct Slot {
    std::string subject;
    uint64_t subscription = 0;
    ReplyFn done;  // null: free
    std::string answer;
    bool in_pieces = false;
    TimerId timer = 0;
  };
  // One connection's; answers on their way hold it weakly.
  struct Link {
    NatsConnection* connection;
  };
  enum class Reuse { kNo, kYes };

  void Listen(uint64_t id);
  void OnMessage(uint64_t id, NatsMessage& message);
  [[nodiscard]] AnswerFn AnswerTo(std::string reply) const;
  [[nodiscard]] uint64_t TakeSlot();
  void OnReply(uint64_t slot, const NatsMessage& message);
  void Settle(uint64_t slot, absl::StatusOr<std::string> answer, Reuse reuse);
  void Later(ReplyFn done, absl::Status why);
  static void Send(NatsConnection* connection, const std::string& subject, const std::string& reply,
                   std::string_view text);

  Loop* const loop_;
  const std::string prefix_;
  std::shared_ptr<Link> link_;  // null: not connected
  uint64_t next_ = 1;
  std::map<uint64_t, Topic> topics_;
  std::map<uint64_t, Slot> slots_;
  std::vector<uint64_t> free_slots_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_NATS_MESSENGER_H_
