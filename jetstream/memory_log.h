// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_MEMORY_LOG_H_
#define JETD_JETSTREAM_MEMORY_LOG_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/executor.h"
#include "base/limits.h"
#include "jetstream/log.h"
#include "jetstream/memory_stream.h"

namespace jetd::jetstream {

// What becomes of an append that had not reached the stream when its connection broke.
enum class AppendFate {
  kNever,  // lost
  kLands,  // arrives right away; only its answer is lost
  kLate,   // is kept by the stream: MemoryStream::LandLate
  kTwice,  // arrives right away, and a copy of it is kept
};

// What goes wrong and how long things take. Each function is asked anew every time, so a seeded
// generator behind them gives a run that can be repeated. Unset: no delay, nothing goes wrong, what
// is in flight at a break is lost.
struct MemoryLogFaults {
  // On the way of appends and barriers to the stream, and of their answers back. The order of
  // appends stays, and that of answers.
  std::function<std::chrono::nanoseconds()> request_delay;
  std::function<std::chrono::nanoseconds()> answer_delay;
  // Everything else: reads (each batch of one), gets, deletes, state. Not in order with the above.
  std::function<std::chrono::nanoseconds()> api_delay;
  // From an answer to its OnDurable.
  std::function<std::chrono::nanoseconds()> sync_delay;
  // Asked when an append reaches the stream: not OK, and it is refused with that
  // (MakeError(Errc::kTooManyRequests), say).
  std::function<absl::Status(StreamSeq predicted)> refuse;
  std::function<AppendFate(StreamSeq predicted)> fate;
};

// A Log on a MemoryStream: one client and its connection. Everything travels: an append goes to the
// stream, its answer comes back, then its sync; each leg takes at least one turn of the Executor,
// longer with MemoryLogFaults, and stands still while a test holds it:
//
//   MemoryLog log(&exec, &stream);
//   log.Open(&observer, fatal);
//   exec.RunDeferred();                                 // OnConnected
//   log.Hold(MemoryLog::Leg::kAnswer);
//   log.Append(StreamSeq(1), record);
//   exec.RunDeferred();                                 // in the stream, not answered
//   log.Disconnect();                                   // never will be
//   exec.RunDeferred();                                 // OnDisconnected
//
// Thread rules: as Log; Executor, stream and faults outlive it.
class MemoryLog : public Log {
 public:
  struct Options {
    size_t max_subject_bytes = limits::kMaxSubjectBytes;
    size_t max_payload_bytes = limits::kEmbeddedMaxPayloadBytes;
    int replicas = 1;
    bool exclusive = false;
    // Of the appends of one turn only the last one answers, for all of them, as NatsLog's with an
    // exclusive server do (docs/adr/0043): a refusal of it says nothing of those before it, and
    // what an earlier connection has sent answers for itself.
    bool answer_for_group = false;
    // False: Open waits for Reconnect.
    bool connect_on_open = true;
    // Records that a read passes before other work gets its turn.
    size_t read_batch = 64;
    // Deletions are answered and never made, as NatsLog's are until a newer file begins.
    bool puts_off_deletions = false;
    // Tells the limits that the stream has been given; an outside server's account may hide them.
    bool tells_room = false;
    // It may have mirrors: these, at first.
    bool mirrored = false;
    std::vector<MirrorState> mirrors{};
    MemoryLogFaults faults;
  };
  // With answer_for_group: so many appends ask after a refusal, as AppendChain's do.
  static constexpr size_t kAskAfterRefusal = 1'024;
  enum class Leg {
    kRequest,  // appends and barriers on their way to the stream
    kAnswer,   // their answers
    kApi,      // everything else
    kSync,     // OnDurable
  };

  MemoryLog(Executor* executor, MemoryStream* stream) : MemoryLog(executor, stream, Options()) {}
  MemoryLog(Executor* executor, MemoryStream* stream, Options options);
  ~MemoryLog() override;

  // For tests -------------------------------------------------------------------------------
  // The connection breaks, as log.h says; what is in flight meets its fate. Again: nothing.
  void Disconnect();
  // Comes back, a turn of the Executor later. Nothing if it is there.
  void Reconnect();
  // The stream leader that this connection leads to is cut off from its followers and does not know
  // it yet: it answers reads and barriers by itself, from what it has, and takes appends that never
  // land. Until the connection breaks.
  void CutOff();
  // Nothing passes `leg` until Release.
  void Hold(Leg leg);
  void Release(Leg leg);
  // Lets the next `count` pass a held leg.
  void Pass(Leg leg, size_t count);
  // What Mirrors answers from now on.
  void set_mirrors(std::vector<MirrorState> mirrors) { mirrors_ = std::move(mirrors); }
  // What the mirror of each domain has, for CompareWithMirror; outlives this.
  void set_mirror_stream(const MemoryStream* mirror) { mirror_stream_ = mirror; }
  [[nodiscard]] size_t waiting(Leg leg) const;
  [[nodiscard]] bool connected() const { return link_ == Link::kUp; }

  // Log -------------------------------------------------------------------------------------
  void Open(Observer* observer, DoneFn fatal) override;
  void Close() override;
  void Append(StreamSeq predicted, const NewRecord& record) override;
  void RequestDurable(StreamSeq seq) override;
  void Barrier(SeqFn done) override;
  void Read(const ReadOptions& options, RecordFn on_record, ReadDoneFn done) override;
  void Get(const std::vector<StreamSeq>& seqs, RecordFn on_record, DoneFn done) override;
  void Delete(StreamSeq seq, DoneFn done) override;
  void AppendPutOff(std::vector<StreamSeq>* seqs) const override;
  void SyncDeletes(DoneFn done) override;
  void State(StateFn done) override;
  void Room(RoomFn done) override;
  [[nodiscard]] bool MayHaveMirrors() const override { return options_.mirrored; }
  void Mirrors(const MirrorsQuestion& question, MirrorsFn done) override;
  void CompareWithMirror(const CompareQuestion& question, CompareFn done) override;
  [[nodiscard]] bool exclusive() const override { return options_.exclusive; }

 private:
  class Pipe;
  struct ReadJob;
  // kBroken: the connection is gone and the observer not yet told. kConnecting likewise.
  enum class Link { kClosed, kDown, kConnecting, kUp, kBroken };
  // Calls the callback of a request with the error.
  using FailFn = std::function<void(const absl::Status&)>;

  // Runs `fn` on a later turn, unless the log was closed or destroyed meanwhile.
  void Later(std::function<void()> fn);
  // Notes a request whose callback must come; 0 if not connected (and then it fails by itself).
  uint64_t Expect(FailFn fail);
  // True if the callback of request `id` is still due, and now is not any more.
  bool Settle(uint64_t id);
  void TellConnected();
  void TellDisconnected();
  // Decides about what is on its way to the stream.
  void LoseRequests();
  [[nodiscard]] bool MayGoUnanswered(StreamSeq predicted);
  // The newest append goes on its way, as the last of its group or as one of those before it.
  enum class Place { kLast, kBefore };
  void SendHeld(Place place);
  // With the group that it answers for, itself included; empty: it does not answer.
  void AppendArrives(MemoryStream::Stored record, const std::vector<StreamSeq>& group);
  void AnswerArrives(const std::vector<StreamSeq>& group, const absl::Status& status);
  void StartSync();
  void ReadStep(const std::shared_ptr<ReadJob>& job);
  // Follows it at the end of the stream, or ends it.
  void OnReadEnd(const std::shared_ptr<ReadJob>& job);
  void StreamGrew(const MemoryStream::Stored& record, const void* writer);
  [[nodiscard]] Pipe& PipeOf(Leg leg) const;
  // What the other end takes for the stream's last sequence.
  [[nodiscard]] StreamSeq Last() const { return cut_off_at_.value_or(stream_->last()); }
  [[nodiscard]] const MemoryStream::Records& Records() const {
    return cut_off_at_.has_value() ? cut_off_records_ : stream_->records();
  }
  [[nodiscard]] LogInfo Info() const;
  [[nodiscard]] int64_t NowNs() const { return executor_->WallNowMs() * 1'000'000; }

  Executor* const executor_;
  MemoryStream* const stream_;
  const Options options_;
  std::unique_ptr<Pipe> requests_, answers_, api_, sync_;

  Observer* observer_ = nullptr;
  Link link_ = Link::kClosed;
  // Reconnect came while the observer was still to be told of the break.
  bool reconnect_asked_ = false;
  int listener_ = 0;
  uint64_t next_request_ = 1;
  std::map<uint64_t, FailFn> expected_;
  std::vector<std::shared_ptr<ReadJob>> followers_;  // that are at the end
  std::set<StreamSeq> put_off_;
  std::vector<MirrorState> mirrors_ = options_.mirrors;
  const MemoryStream* mirror_stream_ = nullptr;
  std::optional<StreamSeq> cut_off_at_;         // the stream's last sequence when it was
  MemoryStream::Records cut_off_records_;       // and what the stream held
  std::shared_ptr<MemoryStream::Stored> held_;  // the newest append, if that waits for the next
  std::vector<StreamSeq> group_;                // that went without asking, before `held_`
  StreamSeq highest_predicted_{0}, sent_before_{0};  // by any connection, and by earlier ones
  size_t ask_more_ = 0;                              // appends, because one was refused
  StreamSeq acked_{0};    // to be synced: newest answered append or RequestDurable
  StreamSeq syncing_{0};  // what the sync that is under way covers; 0: none is
  // Replaced by Close and gone with the log: what was deferred before does not run.
  std::shared_ptr<char> alive_;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_MEMORY_LOG_H_
