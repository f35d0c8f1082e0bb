// SPDX-License-Identifier: Apache-2.0
#include "conformance/sim/courier.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/limits.h"

namespace jetd::conformance::sim {
namespace {

constexpr std::chrono::milliseconds kSlowest{160};

uint64_t NumberIn(std::string_view text) {
  uint64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  JETD_CHECK(parsed.ec == std::errc()) << "no number: " << text;
  return number;
}

// Who says so did not take the call.
bool NotTaken(Errc why) { return why == Errc::kNoLeader || why == Errc::kUnavailable; }

}  // namespace

Courier::Courier(Executor* executor, revision::Committer* committer, revision::Peers* peers,
                 Mail* mail)
    : executor_(executor), committer_(committer), peers_(peers), mail_(mail) {
  peers_->set_call_handler(
      [this](std::string_view /*method*/, std::string_view request,
             const revision::Peers::CallDone& done) { OnCall(request, done); });
}

// ---- Where it leads -----------------------------------------------------------------------------

void Courier::OnCall(std::string_view request, const revision::Peers::CallDone& done) {
  const revision::Op* op = mail_->requests.at(NumberIn(request));
  committer_->Apply(op, 100, [this, done](const absl::StatusOr<revision::OpResult>& result) {
    revision::Peers::CallAnswer answer;
    if (result.ok()) {
      mail_->answers.emplace(mail_->next, *result);
      answer.response = std::to_string(mail_->next++);
    } else {
      answer.code = static_cast<int>(GetErrc(result.status()));
      answer.text = std::string(result.status().message());
    }
    done(std::move(answer));
  });
}

// ---- Where it follows ---------------------------------------------------------------------------

void Courier::Apply(const revision::Op* op, revision::Committer::ApplyDone done) {
  const uint64_t number = mail_->next++;
  mail_->requests[number] = op;
  Attempt& attempt = attempts_[number];
  attempt.op = op;
  attempt.done = std::move(done);
  attempt.until = executor_->Now() + limits::kUnavailableAfter;
  executor_->Defer([this, number, alive = std::weak_ptr<char>(alive_)] {
    if (!alive.expired()) Try(number);
  });
}

void Courier::Try(uint64_t number) {
  const auto found = attempts_.find(number);
  if (found == attempts_.end()) return;
  if (!committer_->elsewhere()) {
    committer_->Apply(found->second.op, 100,
                      [this, number](absl::StatusOr<revision::OpResult> answer) {
                        End(number, std::move(answer));
                      });
  } else if (!peers_->found()) {
    TryLater(number);
  } else {
    peers_->Call("apply", std::to_string(number),
                 [this, number](const absl::StatusOr<revision::Peers::Called>& called) {
                   OnCalled(number, called);
                 });
  }
}

void Courier::TryLater(uint64_t number) {
  const auto found = attempts_.find(number);
  if (found == attempts_.end()) return;
  Attempt& attempt = found->second;
  if (executor_->Now() >= attempt.until) return End(number, MakeError(Errc::kNoLeader, "nobody"));
  executor_->RunAfter(attempt.delay, [this, number, alive = std::weak_ptr<char>(alive_)] {
    if (!alive.expired()) Try(number);
  });
  attempt.delay = std::min(2 * attempt.delay, kSlowest);
}

void Courier::OnCalled(uint64_t number, const absl::StatusOr<revision::Peers::Called>& called) {
  if (!called.ok()) {
    if (GetErrc(called.status()) != Errc::kTimeout) return TryLater(number);
    return End(number, called.status());
  }
  const revision::Peers::CallAnswer& answer = called->answer;
  const auto why = static_cast<Errc>(answer.code);
  if (NotTaken(why)) return TryLater(number);
  if (why != Errc::kNone) return End(number, MakeError(why, answer.text));
  committer_->WaitApplied(called->committed, [this, number, result = TakeAnswer(answer.response)](
                                                 const absl::Status& s) {
    if (s.ok()) {
      End(number, result);
    } else {
      End(number, s);
    }
  });
}

revision::OpResult Courier::TakeAnswer(std::string_view number) {
  auto node = mail_->answers.extract(NumberIn(number));
  JETD_CHECK(!node.empty()) << "an answer came twice";
  return std::move(node.mapped());
}

void Courier::End(uint64_t number, absl::StatusOr<revision::OpResult> answer) {
  auto node = attempts_.extract(number);
  if (!node.empty()) node.mapped().done(std::move(answer));
}

void Courier::Stop() {
  alive_ = std::make_shared<char>();
  while (!attempts_.empty()) End(attempts_.begin()->first, MakeError(Errc::kStopped));
}

}  // namespace jetd::conformance::sim
