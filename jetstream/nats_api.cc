// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nats_api.h"

#include <charconv>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "jetstream/no_answer.h"

namespace jetd::jetstream {

int64_t IntegerOf(const nlohmann::json& object, const char* member, int64_t otherwise) {
  const auto found = object.find(member);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : otherwise;
}

std::string TextOf(const nlohmann::json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string ApiPrefix(const std::string& domain) {
  return domain.empty() ? "$JS.API." : Cat("$JS.", domain, ".API.");
}

ApiError ApiErrorOf(const nlohmann::json& answer) {
  ApiError error;
  const auto found = answer.find("error");
  if (found == answer.end() || !found->is_object()) return error;
  error.code = static_cast<int>(IntegerOf(*found, "code", 500));
  error.err_code = static_cast<int>(IntegerOf(*found, "err_code", 0));
  error.description = TextOf(*found, "description");
  return error;
}

nlohmann::json ParseAnswer(std::string_view payload) {
  auto json = nlohmann::json::parse(payload, /*cb=*/nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? json : nlohmann::json::object();
}

NatsApi::NatsApi(Loop* loop, NatsConnection* connection, std::string prefix,
                 std::chrono::nanoseconds timeout)
    : loop_(loop),
      connection_(connection),
      prefix_(std::move(prefix)),
      timeout_(timeout),
      inbox_(connection->inbox() + ".q.") {
  connection_->Subscribe(inbox_ + "*", [this](NatsMessage& message) { OnReply(message); });
}

NatsApi::~NatsApi() {
  if (timer_ != 0) loop_->Cancel(timer_);
}

std::string NatsApi::Subject(std::string_view rest) const { return Cat(prefix_, rest); }

void NatsApi::Request(const std::string& subject, std::string_view payload, ReplyFn done,
                      std::span<const NatsConnection::HeaderLine> headers) {
  if (failed_) return;
  const uint64_t id = next_++;
  ReplyFn named = [this, subject, done = std::move(done)](absl::StatusOr<NatsMessage*> reply) {
    if (!reply.ok() || *reply != nullptr) return done(std::move(reply));
    done(NoAnswer(*connection_, "JetStream", subject, inbox_ + "*"));
  };
  pending_.emplace_hint(pending_.end(), id, Pending{loop_->Now() + timeout_, std::move(named)});
  connection_->Publish(subject, Cat(inbox_, id), payload, headers);
  ArmTimer();
}

void NatsApi::OnReply(NatsMessage& message) {
  const std::string_view token = message.subject().substr(inbox_.size());
  uint64_t id = 0;
  std::from_chars(token.data(), token.data() + token.size(), id);
  auto node = pending_.extract(id);
  if (node.empty()) return;  // it came too late
  node.mapped().done(&message);
}

void NatsApi::ArmTimer() {
  if (timer_ != 0 || pending_.empty() || failed_) return;
  timer_ = loop_->RunAt(pending_.begin()->second.deadline, [this] { OnTimer(); });
}

void NatsApi::OnTimer() {
  timer_ = 0;
  const MonoTime now = loop_->Now();
  while (!pending_.empty() && !failed_ && pending_.begin()->second.deadline <= now) {
    auto node = pending_.extract(pending_.begin());
    node.mapped().done(nullptr);  // there is none
  }
  ArmTimer();
}

void NatsApi::Drop() {
  failed_ = true;
  pending_.clear();
}

void NatsApi::Fail(const absl::Status& why) {
  failed_ = true;
  while (!pending_.empty()) {
    auto node = pending_.extract(pending_.begin());
    node.mapped().done(why);
  }
}

}  // namespace jetd::jetstream
