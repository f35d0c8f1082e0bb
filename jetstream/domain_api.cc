// SPDX-License-Identifier: Apache-2.0
#include "jetstream/domain_api.h"

#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "jetstream/nats_api.h"

namespace jetd::jetstream {
namespace {

absl::StatusOr<nlohmann::json> AnswerOf(std::string_view payload) {
  nlohmann::json answer = ParseAnswer(payload);
  const ApiError error = ApiErrorOf(answer);
  if (error.code == 0) return answer;
  if (error.err_code == js_error::kStreamNotFound || error.err_code == js_error::kNoMessageFound) {
    return absl::NotFoundError(error.description);
  }
  if (error.err_code == js_error::kStreamNameInUse || error.err_code == js_error::kConsumerExists) {
    return absl::AlreadyExistsError(error.description);
  }
  return MakeError(Errc::kUnavailable,
                   Cat("JetStream: ", error.description, " (", error.err_code, ")"));
}

std::string NameOf(const std::string& domain) {
  return domain.empty() ? std::string("JetStream") : Cat("the JetStream domain ", domain);
}

}  // namespace

DomainApi::DomainApi(Loop* loop, NatsConnection* connection, std::chrono::nanoseconds timeout)
    : loop_(loop), connection_(connection), timeout_(timeout) {}

DomainApi::~DomainApi() {
  if (timer_ != 0) loop_->Cancel(timer_);
  if (asked_) connection_->Unsubscribe(subscription_);
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
  if (asked_ || waiting_.empty() || failed_) return;
  Question question = std::move(waiting_.front());
  waiting_.pop_front();
  asked_ = std::move(question.done);
  // A subject of its own for each: the word that nobody listens names nothing but that.
  const std::string inbox = Cat(connection_->inbox(), ".d.", ++number_);
  subscription_ = connection_->Subscribe(
      inbox, [this](NatsMessage& message) { Settle(AnswerOf(message.payload())); },
      [this, domain = question.domain] {
        Settle(MakeError(Errc::kUnavailable, Cat("nobody answers for ", NameOf(domain))));
      });
  connection_->Publish(question.subject, inbox, question.payload);
  timer_ = loop_->RunAfter(timeout_, [this, domain = question.domain] {
    timer_ = 0;
    Settle(MakeError(Errc::kTimeout, Cat("no answer from ", NameOf(domain))));
  });
}

void DomainApi::Settle(absl::StatusOr<nlohmann::json> answer) {
  if (!asked_) return;
  connection_->Unsubscribe(subscription_);
  if (timer_ != 0) loop_->Cancel(timer_);
  timer_ = 0;
  const AnswerFn done = std::exchange(asked_, nullptr);
  const std::weak_ptr<bool> alive(alive_);
  done(std::move(answer));
  if (!alive.expired()) Next();
}

void DomainApi::Fail(const absl::Status& why) {
  failed_ = true;
  if (timer_ != 0) loop_->Cancel(timer_);
  timer_ = 0;
  std::deque<Question> waiting;
  waiting.swap(waiting_);
  if (asked_) connection_->Unsubscribe(subscription_);
  const AnswerFn asked = std::exchange(asked_, nullptr);
  if (asked) asked(why);
  for (const Question& question : waiting) question.done(why);
}

}  // namespace jetd::jetstream
