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

MirrorAudit::MirrorAudit(Executor* executor, jetstream::Log* log, Options options, CountsFn counts)
    : executor_(executor), log_(log), options_(options), counts_(std::move(counts)) {}

MirrorAudit::~MirrorAudit() { executor_->Cancel(timer_); }

void MirrorAudit::Begin() {
  for (Mirror& mirror : mirrors_) {
    mirror.at = mirror.state.verified = StreamSeq{};
    mirror.state.verified_ms = 0;
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
    if (!compares || mirror.at < mirror.goal) continue;
    // One that went back, or a pass that has ended long ago.
    if (executor_->Now() - mirror.began < options_.again) continue;
    mirror.at = StreamSeq{};
    mirror.began = executor_->Now();
  }
  mirrors_ = std::move(now);
  turn_ = 0;
  Next();
}

void MirrorAudit::Next() {
  for (; turn_ < mirrors_.size(); ++turn_) {
    Mirror& mirror = mirrors_[turn_];
    if (mirror.goal == StreamSeq{}) continue;
    if (mirror.at >= mirror.goal) {
      mirror.state.verified_ms = executor_->WallNowMs();
      continue;
    }
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
    ++turn_;
    return Next();
  }
  mirror.state.records += answer->records;
  for (const auto& found : answer->different) Note(&mirror, found, "is another one there");
  for (const auto& found : answer->missing) {
    if (counts_(found.seq, found.subject)) Note(&mirror, found, "is not there");
  }
  if (mirror.state.differences > 0) {
    log::Error("the mirror {} in the JetStream domain {} is no copy of this stream: {}",
               mirror.state.name, mirror.state.domain, mirror.state.what);
    ++turn_;
    return Next();
  }
  mirror.at = answer->upto;
  mirror.state.verified = std::max(mirror.state.verified, mirror.at);
  After(options_.pause, &MirrorAudit::Next);
}

void MirrorAudit::Note(Mirror* mirror, const CompareAnswer::Found& found, std::string_view how) {
  if (mirror->state.differences++ > 0) return;
  mirror->state.what =
      Cat("the record at sequence ", found.seq.value(), ", ", found.subject, ", ", how);
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
