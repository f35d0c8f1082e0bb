// SPDX-License-Identifier: Apache-2.0
#include "jetstream/memory_messenger.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace jetd::jetstream {

MemoryMessenger::MemoryMessenger(Executor* executor, MemoryPost* post, MemoryMessengerFaults faults)
    : executor_(executor), post_(post), faults_(std::move(faults)) {
  post_->messengers_.push_back(this);
}

MemoryMessenger::~MemoryMessenger() {
  std::erase(post_->messengers_, this);
  for (const auto& [number, asked] : asked_) executor_->Cancel(asked.timer);
}

void MemoryMessenger::Later(std::function<void()> fn) {
  executor_->Defer([alive = std::weak_ptr<char>(alive_), fn = std::move(fn)] {
    if (!alive.expired()) fn();
  });
}

std::function<void()> MemoryMessenger::WhileConnected(std::function<void()> fn) {
  return [this, link = std::weak_ptr<char>(link_), fn = std::move(fn)] {
    if (link.expired()) return;
    if (frozen_) {
      held_.push_back(fn);
    } else {
      fn();
    }
  };
}

void MemoryMessenger::Arrive(std::function<void()> fn) {
  if (!faults_.delay) return executor_->Defer(WhileConnected(std::move(fn)));
  last_due_ = std::max(last_due_, executor_->Now() + faults_.delay());
  executor_->RunAt(last_due_, WhileConnected(std::move(fn)));
}

void MemoryMessenger::Disconnect() {
  connected_ = false;
  link_ = std::make_shared<char>();
  held_.clear();
  std::vector<uint64_t> numbers;
  for (const auto& [number, asked] : asked_) numbers.push_back(number);
  for (const uint64_t number : numbers) {
    Later([this, number] { Settle(number, MakeError(Errc::kTimeout, "connection lost")); });
  }
}

void MemoryMessenger::Thaw() {
  frozen_ = false;
  // Before what is still on its way.
  for (auto& fn : std::exchange(held_, {})) executor_->Defer(WhileConnected(std::move(fn)));
}

uint64_t MemoryMessenger::Serve(const std::string& topic, RequestFn on_request) {
  topics_[next_] = {topic, std::move(on_request), nullptr};
  return next_++;
}

uint64_t MemoryMessenger::Subscribe(const std::string& topic, NewsFn on_news) {
  topics_[next_] = {topic, nullptr, std::move(on_news)};
  return next_++;
}

void MemoryMessenger::Drop(uint64_t id) { topics_.erase(id); }

void MemoryMessenger::Publish(const std::string& topic, std::string_view news) {
  if (!connected_) return;
  for (MemoryMessenger* other : post_->messengers_) {
    if (!Reaches(*other)) continue;
    for (const auto& [id, served] : other->topics_) {
      if (served.name != topic || !served.on_news || other->Lost()) continue;
      other->Arrive([other, id = id, text = std::string(news)] {
        const auto it = other->topics_.find(id);
        if (it != other->topics_.end()) NewsFn(it->second.on_news)(text);
      });
    }
  }
}

void MemoryMessenger::Request(const std::string& topic, std::string_view request,
                              std::chrono::nanoseconds patience, ReplyFn done) {
  const uint64_t number = next_++;
  Asked& asked = asked_[number];
  asked.done = std::move(done);
  if (!connected_) {
    Later([this, number] { Settle(number, MakeError(Errc::kUnavailable, "not connected")); });
    return;
  }
  asked.timer = executor_->RunAfter(
      patience, [this, number] { Settle(number, MakeError(Errc::kTimeout, "no answer")); });
  for (MemoryMessenger* other : post_->messengers_) {
    if (!Reaches(*other)) continue;
    for (const auto& [id, served] : other->topics_) {
      if (served.name != topic || !served.on_request) continue;
      if (other->Lost()) return;
      AnswerFn answer = [this, other, number, mine = std::weak_ptr<char>(link_),
                         theirs = std::weak_ptr<char>(other->link_)](std::string_view text) {
        if (mine.expired() || theirs.expired() || !other->Reaches(*this) || Lost()) return;
        Arrive([this, number, text = std::string(text)] { Settle(number, text); });
      };
      other->Arrive([other, id = id, answer, text = std::string(request)] {
        const auto it = other->topics_.find(id);
        if (it != other->topics_.end()) RequestFn(it->second.on_request)(text, answer);
      });
      return;
    }
  }
  Arrive([this, number] { Settle(number, MakeError(Errc::kNoLeader, "nobody serves it")); });
}

void MemoryMessenger::Settle(uint64_t number, absl::StatusOr<std::string> answer) {
  auto node = asked_.extract(number);
  if (node.empty()) return;
  executor_->Cancel(node.mapped().timer);
  node.mapped().done(std::move(answer));
}

}  // namespace jetd::jetstream
