// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_MIRROR_AUDIT_H_
#define JETD_REVISION_MIRROR_AUDIT_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/executor.h"
#include "base/types.h"
#include "jetstream/log.h"

namespace jetd::revision {

// MirrorAudit compares the records of the stream with those of its mirrors, all the time and slowly
// (docs/adr/0092-mirrors-are-audited.md). A round goes from where the last one ended up to what a
// mirror has; then it rests. Now and then all is compared again, for disks forget.
//
//   the stream ends at 500, and the mirror has all up to 480
//     first round     1..480, a few records at a time, with pauses
//     ten minutes on  481..530
//     a day on        1.. again
//
// Several mirrors take turns, a batch each. One that is found to have gone back is compared from
// there on: what it copies a second time is new.
//
// A mirror that has another record at some sequence, or none where the store needs one, is no copy,
// and stays none until its stream is made anew. That one is missing is asked twice, the second time
// after `Options::doubt`: the first time a trim may just have taken what the store was about to
// drop, or a server answered that is behind its mirror's others. How far it came is written
// nowhere: who leads next compares all from the beginning, but for mirrors of which the stream says
// already that they are no copies.
//
// Engine thread only.
class MirrorAudit {
 public:
  struct Options {
    std::chrono::nanoseconds interval{0};  // between rounds; 0: nothing is compared
    // After a batch, and longer after a large one: some 300 records and 2 MB a second at most, of
    // all mirrors together. A batch ends behind the record that reaches one of its bounds.
    std::chrono::nanoseconds pause = std::chrono::milliseconds(100);
    size_t batch_records = 32;
    size_t batch_bytes = 200'000;
    uint64_t bytes_per_second = 2'000'000;
    std::chrono::nanoseconds again = std::chrono::hours(24);
    // So long a record that is missing may be on its way.
    std::chrono::nanoseconds doubt = std::chrono::minutes(1);
  };
  // Whether the store is made of a record: a mirror without it has another state.
  using CountsFn = std::function<bool(const jetstream::CompareAnswer::Found& record)>;
  struct State;
  // Of all mirrors, as a round begins and when one is found to differ: for whoever writes it down.
  using TellFn = std::function<void(const std::vector<State>& states)>;

  struct State {
    std::string name{}, domain{};
    int64_t made_ns = 0;       // of the mirror's stream
    StreamSeq verified{};      // all up to here was the same, of what both have
    int64_t verified_ms = 0;   // when that was all that it had, since 1970; 0: not yet
    uint64_t records = 0;      // compared, by this process
    uint64_t differences = 0;  // found
    std::string what{};        // the first of them, for people; empty: none
  };

  MirrorAudit(Executor* executor, jetstream::Log* log, Options options, CountsFn counts,
              TellFn tell = nullptr);
  ~MirrorAudit();
  MirrorAudit(const MirrorAudit&) = delete;
  MirrorAudit& operator=(const MirrorAudit&) = delete;

  // This member leads from here on: what was compared before may have been another stream's.
  void Begin();
  // Not connected, or not leading; and again.
  void Suspend();
  void Resume();

  // By name, of those that were declared at the last round.
  [[nodiscard]] std::vector<State> states() const;
  // Makes mirrors that were found to differ what they are: no copies.
  void Judge(std::vector<jetstream::MirrorState>* mirrors) const;

 private:
  struct Mirror {
    State state;
    StreamSeq at;       // compared up to here, by this pass
    MonoTime began{0};  // the pass
    StreamSeq goal;     // of the round; 0: none
    // Behind `at`, which stays there: what was missing, and since when.
    std::map<StreamSeq, MonoTime> lacked;
  };

  void After(std::chrono::nanoseconds delay, void (MirrorAudit::*step)());
  void Rest();
  void StartRound();
  void Tell() const;
  void OnMirrors(const std::vector<jetstream::MirrorState>& mirrors);
  // Goes on with the mirror behind `turn_` that has something left to compare, or rests.
  void Next();
  void OnCompared(absl::StatusOr<jetstream::CompareAnswer> answer);
  void Take(Mirror* mirror, const jetstream::CompareAnswer& answer);
  void NoteMissing(Mirror* mirror, const jetstream::CompareAnswer& answer);
  [[nodiscard]] std::chrono::nanoseconds PauseAfter(uint64_t bytes) const;
  static void Note(Mirror* mirror, const jetstream::CompareAnswer::Found& found,
                   std::string_view how);

  Executor* const executor_;
  jetstream::Log* const log_;
  const Options options_;
  const CountsFn counts_;
  const TellFn tell_;

  std::vector<Mirror> mirrors_;
  size_t turn_ = 0;  // the one that was asked last
  bool suspended_ = true;
  uint64_t epoch_ = 0;
  TimerId timer_ = 0;
  MonoTime due_{0};  // the next round; past: one is under way
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_MIRROR_AUDIT_H_
