// SPDX-License-Identifier: Apache-2.0
#include "revision/removal_gate.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/strings.h"

namespace jetd::revision {
namespace {

using Fit = jetstream::MirrorState::Fit;

// Moves what is at or below `bound` to the end of `out`.
void TakeUpTo(StreamSeq bound, std::vector<StreamSeq>* from, std::vector<StreamSeq>* out) {
  const auto stays =
      std::partition(from->begin(), from->end(), [bound](StreamSeq seq) { return seq <= bound; });
  out->insert(out->end(), from->begin(), stays);
  from->erase(from->begin(), stays);
}

size_t SizeOf(const Collector::Batch& batch) { return batch.hidden.size() + batch.markers.size(); }

}  // namespace

RemovalGate::RemovalGate(Executor* executor, jetstream::Log* log, Collector* collector,
                         Options options, PromotedFn on_promoted, JudgeFn judge)
    : executor_(executor),
      log_(log),
      collector_(collector),
      options_(options),
      on_promoted_(std::move(on_promoted)),
      judge_(std::move(judge)) {}

RemovalGate::~RemovalGate() { executor_->Cancel(timer_); }

void RemovalGate::Add(Collector::Batch batch, Kind kind) {
  if (!log_->MayHaveMirrors()) return collector_->Add(std::move(batch));
  held_records_ += SizeOf(batch);
  held_.push_back({std::move(batch), kind});
  Ask();
}

void RemovalGate::Suspend() {
  suspended_ = true;
  asking_ = false;
  ++epoch_;
  executor_->Cancel(timer_);
  timer_ = 0;
  // Others may lead meanwhile, and the stream go back.
  known_.clear();
  bound_.Distrust();
}

void RemovalGate::Resume() {
  if (!std::exchange(suspended_, false)) return;
  if (!held_.empty()) Ask();
}

void RemovalGate::Forget() {
  Suspend();
  held_.clear();
  held_records_ = 0;
}

void RemovalGate::Look() {
  if (!log_->MayHaveMirrors() || executor_->Now() - last_look_ < options_.look_pause) return;
  Ask();
}

void RemovalGate::Ask() {
  if (suspended_ || asking_) return;
  asking_ = true;
  executor_->Cancel(timer_);
  timer_ = 0;
  last_look_ = executor_->Now();
  log_->Mirrors({.known = known_},
                [this, epoch = epoch_](absl::StatusOr<std::vector<jetstream::MirrorState>> found) {
                  if (epoch == epoch_) OnMirrors(std::move(found));
                });
}

void RemovalGate::AskAfter(std::chrono::nanoseconds delay) {
  if (suspended_ || asking_ || timer_ != 0) return;
  timer_ = executor_->RunAfter(delay, [this] {
    timer_ = 0;
    Ask();
  });
}

void RemovalGate::OnMirrors(absl::StatusOr<std::vector<jetstream::MirrorState>> mirrors) {
  asking_ = false;
  if (!mirrors.ok()) {
    log::Debug("the stream's mirrors are not known: {}", MessageOf(mirrors.status()));
    if (!held_.empty()) AskAfter(options_.retry);
    return;
  }
  known_ = *mirrors;
  if (judge_) judge_(&*mirrors);
  Note(*std::move(mirrors));
  const auto promoted =
      std::find_if(mirrors_.begin(), mirrors_.end(),
                   [](const jetstream::MirrorState& one) { return one.fit == Fit::kPromoted; });
  if (promoted != mirrors_.end()) return on_promoted_(*promoted);
  bound_.Update(mirrors_);
  Release();
  if (!held_.empty()) AskAfter(options_.pause);
}

void RemovalGate::Note(std::vector<jetstream::MirrorState> mirrors) {
  mirrors_ = std::move(mirrors);
  std::map<std::string, std::string> told;
  for (const jetstream::MirrorState& mirror : mirrors_) {
    const auto before = told_.find(mirror.name);
    std::string& now = told[mirror.name];
    if (mirror.fit == Fit::kUnheard) {
      // Nothing new is known.
      if (before != told_.end()) now = before->second;
    } else if (mirror.fit == Fit::kOther) {
      now = mirror.what;
      if (before == told_.end() || before->second != now) {
        log::Error("the mirror {} in the JetStream domain {} no longer fits this stream: {}",
                   mirror.name, mirror.domain, mirror.what);
      }
    } else if (before != told_.end() && !before->second.empty()) {
      log::Info("the mirror {} in the JetStream domain {} fits this stream again", mirror.name,
                mirror.domain);
    }
  }
  told_ = std::move(told);
}

void RemovalGate::Release() {
  std::deque<Held> rest;
  for (Held& held : held_) {
    const bool last = held.kind == Kind::kLastMarkers;
    const StreamSeq bound = last ? bound_.last_markers() : bound_.superseded();
    Collector::Batch passes;
    TakeUpTo(bound, &held.batch.hidden, &passes.hidden);
    TakeUpTo(bound, &held.batch.markers, &passes.markers);
    passes.done = std::exchange(held.batch.done, nullptr);
    held_records_ -= SizeOf(passes);
    if (!last && bound > bound_.last_markers()) {
      for (const auto* list : {&passes.hidden, &passes.markers}) {
        overtaken_ +=
            static_cast<uint64_t>(std::count_if(list->begin(), list->end(), [this](StreamSeq seq) {
              return seq > bound_.last_markers();
            }));
      }
    }
    if (SizeOf(passes) > 0 || passes.done) collector_->Add(std::move(passes));
    if (SizeOf(held.batch) > 0) rest.push_back(std::move(held));
  }
  held_ = std::move(rest);
}

void RemovalGate::AppendHeld(std::vector<StreamSeq>* hidden,
                             std::vector<StreamSeq>* markers) const {
  for (const Held& held : held_) {
    auto* first = held.kind == Kind::kLastMarkers ? markers : hidden;
    first->insert(first->end(), held.batch.hidden.begin(), held.batch.hidden.end());
    markers->insert(markers->end(), held.batch.markers.begin(), held.batch.markers.end());
  }
}

}  // namespace jetd::revision
