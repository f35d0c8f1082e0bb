// SPDX-License-Identifier: Apache-2.0
#include "revision/quota.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"

namespace jetd::revision {
namespace {

// a - b, or 0.
uint64_t Less(uint64_t a, uint64_t b) { return a - std::min(a, b); }

}  // namespace

Quota::Quota(Executor* executor, jetstream::Log* log, const Options& options,
             std::function<void()> on_answer)
    : executor_(executor), log_(log), options_(options), on_answer_(std::move(on_answer)) {}

Quota::~Quota() { executor_->Cancel(patience_); }

Quota::Verdict Quota::Judge(uint64_t cost, const Load& load) {
  if (load.held_bytes + cost >= options_.backend_bytes) {
    why_ = Cat("the store holds ", load.held_bytes, " bytes, --quota-backend-bytes is ",
               options_.backend_bytes);
    return Verdict::kFull;
  }
  const MonoTime now = executor_->Now();
  if (!asking_ && (question_ == 0 || now - asked_ >= kPeriod)) Ask();
  if (now < blind_until_) return Verdict::kFits;
  if (known_ && HasRoom(cost, load.pending_bytes)) return Verdict::kFits;
  if (known_ && now - answered_ <= kFresh) return Verdict::kFull;
  if (!asking_) Ask();
  waited_for_ = true;
  if (patience_ == 0) patience_ = executor_->RunAfter(kPatience, [this] { LosePatience(); });
  return Verdict::kUnknown;
}

bool Quota::HasRoom(uint64_t cost, uint64_t pending_bytes) {
  if (room_.free_bytes == jetstream::RoomInfo::kUnbounded) return true;
  const uint64_t left = Less(room_.free_bytes, since() + pending_bytes);
  if (left >= cost + ReserveBytes()) return true;
  why_ = Cat(room_.bound, " leaves ", left, " bytes; ", ReserveBytes(),
             " are kept for deletes and compactions");
  return false;
}

// A sixteenth of all there is, within bounds.
uint64_t Quota::ReserveBytes() const {
  const uint64_t total = room_.free_bytes + room_.state.bytes;
  const uint64_t least = std::min(limits::kMinReserveBytes, total / 4);
  return std::clamp(total / 16, least, limits::kMaxReserveBytes);
}

void Quota::Ask() {
  asking_ = true;
  asked_ = executor_->Now();
  log_->Room([this, number = ++question_, landed = landed_](auto room) {
    OnRoom(number, landed, std::move(room));
  });
}

void Quota::OnRoom(uint64_t number, uint64_t landed, absl::StatusOr<jetstream::RoomInfo> room) {
  if (number != question_) return;
  asking_ = false;
  executor_->Cancel(std::exchange(patience_, 0));
  if (room.ok()) {
    known_ = true;
    room_ = *std::move(room);
    landed_at_question_ = landed;
    answered_ = executor_->Now();
    blind_until_ = {};
  } else {
    blind_until_ = executor_->Now() + kPeriod;
  }
  if (std::exchange(waited_for_, false)) on_answer_();
}

void Quota::LosePatience() {
  patience_ = 0;
  blind_until_ = MonoTime::max();  // its answer ends that, however late
  if (std::exchange(waited_for_, false)) on_answer_();
}

}  // namespace jetd::revision
