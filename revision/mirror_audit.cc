// SPDX-License-Identifier: Apache-2.0
#include "revision/mirror_audit.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/strings.h"

namespace jetd::revision {

using jetstream::CompareAnswer;
using jetstream::MirrorState;
using Fit = MirrorState::Fit;

MirrorAudit::MirrorAudit(Executor* executor, jetstream::Log* log, Options options, CountsFn counts,
                         TellFn tell)
    : executor_(executor),
      log_(log),
      options_(options),
      counts_(std::move(counts)),
      tell_(std::move(tell)) {}

MirrorAudit::~MirrorAudit() { executor_->Cancel(timer_); }

void MirrorAudit::Begin() {
  for (Mirror& mirror : mirrors_) {
    mirror.at = mirror.state.verified = StreamSeq{};
    mirror.state.verified_ms = 0;
    mirror.lacked.clear();
    mirror.began = executor_->Now();
  }
  Suspend();
  due_ = executor_->Now() + options_.interval;
  Resume();
}

void MirrorAudit::Suspend() {
  suspended_ = true;
  ++epoch_;
  executor_->Cancel(std::exchange(timer_, 0));
}

void MirrorAudit::Resume() {
  if (options_.interval.count() == 0 || !log_->MayHaveMirrors()) return;
  if (!std::exchange(suspended_, false)) return;
  // However often the connection breaks, there is a round now and then.
  constexpr std::chrono::nanoseconds kSoon = std::chrono::seconds(1);
  After(std::max<std::chrono::nanoseconds>(kSoon, due_ - executor_->Now()),
        &MirrorAudit::StartRound);
}

void MirrorAudit::Rest() {
  due_ = executor_->Now() + options_.interval;
  After(options_.interval, &MirrorAudit::StartRound);
}

void MirrorAudit::After(std::chrono::nanoseconds delay, void (MirrorAudit::*step)()) {
  timer_ = executor_->RunAfter(delay, [this, step] {
    timer_ = 0;
    (this->*step)();
  });
}

void MirrorAudit::StartRound() {
  log_->Mirrors({.terms = jetstream::MirrorsQuestion::Terms::kNewest},
                [this, epoch = epoch_](const absl::StatusOr<std::vector<MirrorState>>& mirrors) {
                  if (epoch != epoch_) return;
                  if (mirrors.ok()) return OnMirrors(*mirrors);
                  log::Debug("the stream's mirrors are not compared: {}",
                             MessageOf(mirrors.status()));
                  Rest();
                });
}

void MirrorAudit::OnMirrors(const std::vector<MirrorState>& mirrors) {
  std::vector<Mirror> now;
  for (const MirrorState& found : mirrors) {
    const auto known = std::find_if(mirrors_.begin(), mirrors_.end(), [&found](const Mirror& one) {
      return one.state.name == found.name;
    });
    Mirror& mirror = now.emplace_back();
    const bool heard = found.fit != Fit::kUnheard;
    if (known != mirrors_.end() && (!heard || known->state.made_ns == found.made_ns)) {
      mirror = std::move(*known);
    } else {
      mirror.state = {.name = found.name, .domain = found.domain, .made_ns = found.made_ns};
      mirror.began = executor_->Now();
    }
    const bool compares = found.fit == Fit::kFits && mirror.state.differences == 0;
    mirror.goal = compares ? found.reached : StreamSeq{};
    if (!compares) continue;
    // It may have gone back, and gets a second time what it has lost.
    mirror.at = std::min(mirror.at, mirror.goal);
    mirror.state.verified = std::min(mirror.state.verified, mirror.goal);
    mirror.lacked.erase(mirror.lacked.upper_bound(mirror.goal), mirror.lacked.end());
    if (mirror.at < mirror.goal || mirror.goal == StreamSeq{}) continue;
    if (executor_->Now() - mirror.began < options_.again) {
      mirror.state.verified_ms = executor_->WallNowMs();
      continue;
    }
    mirror.at = StreamSeq{};
    mirror.began = executor_->Now();
  }
  mirrors_ = std::move(now);
  turn_ = 0;
  Tell();
  Next();
}

void MirrorAudit::Tell() const {
  if (tell_) tell_(states());
}

void MirrorAudit::Next() {
  for (size_t tried = 0; tried < mirrors_.size(); ++tried) {
    turn_ = (turn_ + 1) % mirrors_.size();
    const Mirror& mirror = mirrors_[turn_];
    if (mirror.at >= mirror.goal) continue;
    log_->CompareWithMirror({.domain = mirror.state.domain,
                             .from = mirror.at.Next(),
                             .upto = mirror.goal,
                             .max_records = options_.batch_records,
                             .max_bytes = options_.batch_bytes},
                            [this, epoch = epoch_](absl::StatusOr<CompareAnswer> answer) {
                              if (epoch == epoch_) OnCompared(std::move(answer));
                            });
    return;
  }
  Rest();
}

void MirrorAudit::OnCompared(absl::StatusOr<CompareAnswer> answer) {
  Mirror& mirror = mirrors_[turn_];
  if (!answer.ok()) {
    log::Debug("the mirror {} is not compared: {}", mirror.state.name, MessageOf(answer.status()));
    mirror.goal = StreamSeq{};
    return Next();
  }
  Take(&mirror, *answer);
  After(PauseAfter(answer->bytes), &MirrorAudit::Next);
}

void MirrorAudit::Take(Mirror* mirror, const CompareAnswer& answer) {
  mirror->state.records += answer.records;
  for (const auto& found : answer.different) Note(mirror, found, "is another one there");
  NoteMissing(mirror, answer);
  if (mirror->state.differences > 0) {
    log::Error("the mirror {} in the JetStream domain {} is no copy of this stream: {}",
               mirror->state.name, mirror->state.domain, mirror->state.what);
    mirror->goal = StreamSeq{};
    Tell();
    return;
  }
  if (!mirror->lacked.empty()) {
    // The next round asks for the same again.
    log::Debug("the mirror {} lacks the record at sequence {}, for now", mirror->state.name,
               mirror->lacked.begin()->first.value());
    mirror->goal = StreamSeq{};
    return;
  }
  mirror->at = answer.upto;
  mirror->state.verified = std::max(mirror->state.verified, mirror->at);
  if (mirror->at >= mirror->goal) mirror->state.verified_ms = executor_->WallNowMs();
}

void MirrorAudit::NoteMissing(Mirror* mirror, const CompareAnswer& answer) {
  const auto before = std::exchange(mirror->lacked, {});
  for (const auto& found : answer.missing) {
    if (!counts_(found)) continue;
    const auto known = before.find(found.seq);
    const MonoTime since = known == before.end() ? executor_->Now() : known->second;
    mirror->lacked.emplace(found.seq, since);
    if (executor_->Now() - since >= options_.doubt) Note(mirror, found, "is not there");
  }
}

std::chrono::nanoseconds MirrorAudit::PauseAfter(uint64_t bytes) const {
  constexpr uint64_t kSecond = 1'000'000'000;
  const std::chrono::nanoseconds paced(
      static_cast<int64_t>(bytes * kSecond / options_.bytes_per_second));
  return std::max(options_.pause, paced);
}

void MirrorAudit::Note(Mirror* mirror, const CompareAnswer::Found& found, std::string_view how) {
  if (mirror->state.differences++ > 0) return;
  constexpr size_t kShownBytes = 200;
  const std::string_view subject = found.subject;
  mirror->state.what =
      Cat("the record at sequence ", found.seq.value(), ", ", subject.substr(0, kShownBytes),
          subject.size() > kShownBytes ? "..." : "", ", ", how);
}

std::vector<MirrorAudit::State> MirrorAudit::states() const {
  std::vector<State> states;
  for (const Mirror& mirror : mirrors_) states.push_back(mirror.state);
  return states;
}

void MirrorAudit::Judge(std::vector<MirrorState>* mirrors) const {
  for (MirrorState& state : *mirrors) {
    for (const Mirror& mirror : mirrors_) {
      if (state.fit != Fit::kFits || mirror.state.name != state.name ||
          mirror.state.made_ns != state.made_ns || mirror.state.differences == 0) {
        continue;
      }
      state.fit = Fit::kOther;
      state.what = mirror.state.what;
      state.reached = StreamSeq{};
    }
  }
}

}  // namespace jetd::revision
