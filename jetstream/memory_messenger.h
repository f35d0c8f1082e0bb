// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_MEMORY_MESSENGER_H_
#define JETD_JETSTREAM_MEMORY_MESSENGER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/executor.h"
#include "jetstream/messenger.h"

namespace jetd::jetstream {

class MemoryMessenger;

// What the messengers of one bucket share: the server between them. One thread.
class MemoryPost {
 public:
  MemoryPost() = default;
  MemoryPost(const MemoryPost&) = delete;
  MemoryPost& operator=(const MemoryPost&) = delete;

 private:
  friend class MemoryMessenger;
  std::vector<MemoryMessenger*> messengers_;
};

// What goes wrong on the way to a member, or with an answer of it. Asked anew for each message.
// Unset: nothing.
struct MemoryMessengerFaults {
  std::function<std::chrono::nanoseconds()> delay;  // the order stays
  std::function<bool()> lose;
};

// A Messenger on a MemoryPost. Each way takes a turn of the Executor, or longer. Connected from the
// start.
// Thread rules: as Messenger; executor, post and faults outlive it.
class MemoryMessenger : public Messenger {
 public:
  MemoryMessenger(Executor* executor, MemoryPost* post, MemoryMessengerFaults faults = {});
  ~MemoryMessenger() override;
  MemoryMessenger(const MemoryMessenger&) = delete;
  MemoryMessenger& operator=(const MemoryMessenger&) = delete;

  // For tests -------------------------------------------------------------------------------
  // What is on its way to or from this member is lost; what it asked ends with kTimeout.
  void Disconnect();
  void Reconnect() { connected_ = true; }
  // The servers of a cluster are apart: this one's is with those of the same number, and nobody
  // else is there.
  void set_island(int island) { island_ = island; }
  // As a process that is stopped: what comes for it waits until Thaw.
  void Freeze() { frozen_ = true; }
  void Thaw();

  // Messenger -------------------------------------------------------------------------------
  uint64_t Serve(const std::string& topic, RequestFn on_request) override;
  uint64_t Subscribe(const std::string& topic, NewsFn on_news) override;
  void Drop(uint64_t id) override;
  void Publish(const std::string& topic, std::string_view news) override;
  void Request(const std::string& topic, std::string_view request,
               std::chrono::nanoseconds patience, ReplyFn done) override;

 private:
  struct Asked {
    ReplyFn done;
    TimerId timer = 0;
  };
  struct Topic {
    std::string name;
    RequestFn on_request;  // one of them
    NewsFn on_news;
  };

  // Runs `fn` when a message that is sent now has come, or after Thaw, while this connection lasts.
  void Arrive(std::function<void()> fn);
  [[nodiscard]] std::function<void()> WhileConnected(std::function<void()> fn);
  [[nodiscard]] bool Reaches(const MemoryMessenger& other) const {
    return &other != this && other.connected_ && other.island_ == island_;
  }
  [[nodiscard]] bool Lost() const { return faults_.lose && faults_.lose(); }
  void Later(std::function<void()> fn);
  void Settle(uint64_t number, absl::StatusOr<std::string> answer);

  Executor* const executor_;
  MemoryPost* const post_;
  const MemoryMessengerFaults faults_;
  MonoTime last_due_{0};
  int island_ = 0;
  bool connected_ = true;
  bool frozen_ = false;
  std::vector<std::function<void()>> held_;
  uint64_t next_ = 1;
  std::map<uint64_t, Topic> topics_;
  std::map<uint64_t, Asked> asked_;
  std::shared_ptr<char> link_ = std::make_shared<char>();   // one connection's
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // the object's
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_MEMORY_MESSENGER_H_
