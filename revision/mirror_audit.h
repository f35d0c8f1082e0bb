// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_MIRROR_AUDIT_H_
#define JETD_REVISION_MIRROR_AUDIT_H_

#include <chrono>
#include <cstdint>
#include <functional>
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
// A mirror that has another record at some sequence, or none where the store needs one, is no copy,
// and stays none until its stream is made anew. Nothing is written anywhere: who leads next
// compares all from the beginning.
//
// Engine thread only.
class MirrorAudit {
 public:
  struct Options {
    std::chrono::nanoseconds interval{0};  // between rounds; 0: nothing is compared
    // Some 300 records and 2 MB a second at most.
    std::chrono::nanoseconds pause = std::chrono::milliseconds(100);
    size_t batch_records = 32;
    size_t batch_bytes = 200'000;
    std::chrono::nanoseconds again = std::chrono::hours(24);
  };
  // Whether the store is made of the record at `seq`: a mirror without it has another state.
  using CountsFn = std::function<bool(StreamSeq seq, std::string_view subject)>;

  struct State {
    std::string name{}, domain{};
    int64_t made_ns = 0;       // of the mirror's stream
    StreamSeq verified{};      // all up to here is the same, of what both have
    int64_t verified_ms = 0;   // when that was all that it had, since 1970; 0: not yet
    uint64_t records = 0;      // compared, by this process
    uint64_t differences = 0;  // found
    std::string what{};        // the first of them, for people; empty: none
  };

  MirrorAudit(Executor* executor, jetstream::Log* log, Options options, CountsFn counts);
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
  };

  void After(std::chrono::nanoseconds delay, void (MirrorAudit::*step)());
  void Rest();
  void StartRound();
  void OnMirrors(const std::vector<jetstream::MirrorState>& mirrors);
  // Goes on with the mirror `turn_`.
  void Next();
  void OnCompared(absl::StatusOr<jetstream::CompareAnswer> answer);
  void Note(Mirror* mirror, const jetstream::CompareAnswer::Found& found, std::string_view how);

  Executor* const executor_;
  jetstream::Log* const log_;
  const Options options_;
  const CountsFn counts_;

  std::vector<Mirror> mirrors_;
  size_t turn_ = 0;
  bool suspended_ = true;
  uint64_t epoch_ = 0;
  TimerId timer_ = 0;
  MonoTime due_{0};  // the next round; past: one is under way
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_MIRROR_AUDIT_H_
