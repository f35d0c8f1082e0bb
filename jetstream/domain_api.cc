// SPDX-License-Identifier: Apache-2.0
#include "jetstream/domain_api.h"

#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "jetstream/nats_api.h"
#include "jetstream/no_answer.h"

namespace jetd::jetstream {
namespace {

constexpr int kParts = 5;  // of patience

absl::StatusOr<nlohmann::json> AnswerOf(std::string_view payload) {
  nlohmann::json answer = ParseAnswer(payload);
  const ApiError error = ApiErrorOf(answer);
  if (error.code == 0) return answer;
  if (error.err_code == js_error::kStreamNotFound || error.err_code == js_error::kNoMessageFound ||
      error.err_code == js_error::kConsumerNotFound) {
    return absl::NotFoundError(error.description);
  }
  if (error.err_code == js_error::kStreamNameInUse || error.err_code == js_error::kConsumerExists ||
      error.err_code == js_error::kConsumerNameTaken) {
    return absl::AlreadyExistsError(error.description);
  }
  return MakeError(Errc::kUnavailable,
                   Cat("JetStream: ", error.description, " (", error.err_code, ")"));
}

std::string NameOf(const std::string& domain) {
  return domain.empty() ? std::string("JetStream") : Cat("the JetStream domain ", domain);
}

}  // namespace

DomainApi::DomainApi(Loop* loop, NatsConnection* connection, std::chrono::nanoseconds timeout,
                     size_t at_a_time, std::string_view name)
    : loop_(loop),
      connection_(connection),
      timeout_(timeout),
      at_a_time_(at_a_time),
      inbox_(Cat(connection->inbox(), ".", name, ".")) {}

DomainApi::~DomainApi() {
  for (const auto& [number, asked] : asked_) {
    loop_->Cancel(asked.timer);
    connection_->Unsubscribe(asked.subscription);
  }
}

void DomainApi::Ask(const std::string& domain, std::string_view rest, std::string payload,
                    AnswerFn done) {
  if (failed_) return;
  waiting_.push_back({.domain = domain,
                      .subject = Cat(ApiPrefix(domain), rest),
                      .payload = std::move(payload),
                      .done = std::move(done)});
  Next();
}

void DomainApi::Next() {
  while (!failed_ && !waiting_.empty() && asked_.size() < at_a_time_) {
    Question question = std::move(waiting_.front());
    waiting_.pop_front();
    Send(std::move(question));
  }
}

void DomainApi::Send(Question question) {
  const uint64_t number = ++number_;
  Asked& asked = asked_[number];
  asked.domain = std::move(question.domain);
  asked.subject = std::move(question.subject);
  asked.done = std::move(question.done);
  // A subject of its own for each: the word that nobody listens names nothing but that.
  const std::string inbox = InboxOf(number);
  asked.subscription = connection_->Subscribe(
      inbox, [this, number](NatsMessage& message) { Settle(number, AnswerOf(message.payload())); },
      [this, number, domain = asked.domain] {
        Settle(number, MakeError(Errc::kUnavailable, Cat("nobody answers for ", NameOf(domain))));
      });
  connection_->Publish(asked.subject, inbox, question.payload);
  Wait(number, kParts);
}

// For one part of patience after the other, each from when the one before has ended.
void DomainApi::Wait(uint64_t number, int parts) {
  asked_.at(number).timer = loop_->RunAfter(timeout_ / kParts, [this, number, parts] {
    if (parts > 1) return Wait(number, parts - 1);
    const Asked& asked = asked_.at(number);
    Settle(number, NoAnswer(*connection_, NameOf(asked.domain), asked.subject, InboxOf(number)));
  });
}

std::string DomainApi::InboxOf(uint64_t number) const { return Cat(inbox_, number); }

void DomainApi::Settle(uint64_t number, absl::StatusOr<nlohmann::json> answer) {
  const auto found = asked_.find(number);
  if (found == asked_.end()) return;
  connection_->Unsubscribe(found->second.subscription);
  loop_->Cancel(found->second.timer);
  const AnswerFn done = std::move(found->second.done);
  asked_.erase(found);
  const std::weak_ptr<bool> alive(alive_);
  done(std::move(answer));
  if (!alive.expired()) Next();
}

void DomainApi::Fail(const absl::Status& why) {
  failed_ = true;
  const std::map<uint64_t, Asked> asked = std::exchange(asked_, {});
  const std::deque<Question> waiting = std::exchange(waiting_, {});
  for (const auto& [number, one] : asked) {
    loop_->Cancel(one.timer);
    connection_->Unsubscribe(one.subscription);
  }
  for (const auto& [number, one] : asked) one.done(why);
  for (const Question& question : waiting) question.done(why);
}

}  // namespace jetd::jetstream
