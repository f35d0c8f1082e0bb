// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_REMOVAL_GATE_H_
#define JETD_REVISION_REMOVAL_GATE_H_

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/executor.h"
#include "base/types.h"
#include "jetstream/log.h"
#include "revision/collector.h"
#include "revision/mirror_bound.h"

namespace jetd::revision {

// RemovalGate stands before the Collector and holds back what mirrors have not copied yet
// (mirror_bound.h). It asks for them when there is something to remove, and again every
// `Options::pause` while it holds something; where nothing is removed nothing is asked. A log
// that cannot have mirrors is not asked at all.
//
// What it lets through of a batch are its records up to a sequence, and batches pass in their
// order: so a marker still comes after what it hides. Whoever waits for a batch waits for what goes
// of it now.
//
// Engine thread only.
class RemovalGate {
 public:
  enum class Kind {
    kSuperseded,  // a newer record says what a reader needs
    // Delete markers with nothing newer of their key; and jetd's own records, of which the term
    // records tell whether a mirror is a copy.
    kLastMarkers,
  };
  struct Options {
    std::chrono::seconds pause{10};
    // After an answer that told nothing.
    std::chrono::seconds retry{1};
    // Between two looks that somebody asks for.
    std::chrono::seconds look_pause{10};
  };
  // A mirror became a primary: this stream is none any more.
  using PromotedFn = std::function<void(const jetstream::MirrorState& mirror)>;
  // Whoever knows more of the mirrors that were found changes what is said of them.
  using JudgeFn = std::function<void(std::vector<jetstream::MirrorState>* mirrors)>;

  RemovalGate(Executor* executor, jetstream::Log* log, Collector* collector, Options options,
              PromotedFn on_promoted, JudgeFn judge = nullptr);
  ~RemovalGate();
  RemovalGate(const RemovalGate&) = delete;
  RemovalGate& operator=(const RemovalGate&) = delete;

  void Add(Collector::Batch batch, Kind kind);
  // As the Collector's: not connected, or not leading.
  void Suspend();
  void Resume();
  // Suspends, and drops all that waits: the stream may be another one.
  void Forget();
  // Asks for the mirrors, for whoever wants to see them, unless that was a moment ago.
  void Look();
  // As found; logs when one fits no longer, or fits again.
  void Note(std::vector<jetstream::MirrorState> mirrors);

  // As of the newest look.
  [[nodiscard]] const std::vector<jetstream::MirrorState>& mirrors() const { return mirrors_; }
  [[nodiscard]] size_t held() const { return held_records_; }
  // Records that were removed before some mirror had them, or may have been.
  [[nodiscard]] uint64_t overtaken() const { return overtaken_; }
  void AppendHeld(std::vector<StreamSeq>* hidden, std::vector<StreamSeq>* markers) const;

 private:
  struct Held {
    Collector::Batch batch;
    Kind kind = Kind::kSuperseded;
  };

  void Ask();
  void OnMirrors(absl::StatusOr<std::vector<jetstream::MirrorState>> mirrors);
  void Release();
  void AskAfter(std::chrono::nanoseconds delay);

  Executor* const executor_;
  jetstream::Log* const log_;
  Collector* const collector_;
  const Options options_;
  const PromotedFn on_promoted_;
  const JudgeFn judge_;

  MirrorBound bound_;
  std::vector<jetstream::MirrorState> mirrors_;
  std::vector<jetstream::MirrorState> known_;  // since it was resumed
  std::map<std::string, std::string> told_;    // by name, why a mirror does not fit, as logged
  std::deque<Held> held_;
  size_t held_records_ = 0;
  uint64_t overtaken_ = 0;
  bool suspended_ = true;
  bool asking_ = false;
  uint64_t epoch_ = 0;
  TimerId timer_ = 0;
  MonoTime last_look_{-1'000'000'000'000};
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_REMOVAL_GATE_H_
