// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_BUCKET_WRITER_H_
#define JETD_REPLICATION_BUCKET_WRITER_H_

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "base/types.h"
#include "jetstream/log.h"
#include "jetstream/record.h"
#include "jetstream/restore_record.h"
#include "jetstream/subject.h"
#include "replication/bucket_feed.h"
#include "revision/planned_record.h"

namespace jetd::replication {

// BucketWriter fills a new bucket through the chain of conditional appends, as a leader would:
//
//   1        `_jetd.restore`   says what the bucket is being filled with: from here on it is not
//                              whole, and every jetd refuses it (jetstream/restore_record.h)
//   2 … n    leases and keys   of the feed; revisions ascend, each at or below the bumped one
//   n+1      `_jetd.compact`   at the bumped revision: what came before it is gone for readers, and
//                              no client takes a revision of its past for one of now
//   n+2      `_jetd.term`      voids 1: the bucket is whole
//
// Where the feed begins anew (BucketFeed::More::kAnew, or one that does not compare what is found),
// another `_jetd.restore` lies in front of what counts, and n+2 voids all from 1 to there.
//
// 1 is safe before anything else is sent, 2 to n+1 are safe and were read back, every byte
// compared, before n+2 is. So at no moment can a half filled bucket be taken for a whole one, by no
// version of jetd: those that do not know `_jetd.restore` refuse it as they do every kind that they
// do not know.
//
// Cut short at any point (a kill, a lost connection), it is done again with the same arguments:
// what is there is compared with what the feed says, and the rest is appended. Once the bucket is
// whole, that does nothing, and once somebody has written to it, if only a jetd that serves it, it
// is refused: it need not hold any more what it was filled with. A copy of an append that comes
// late finds its place taken, or is the very record that belongs there.
//
// Memory: 8 bytes a record, and what is in flight. Engine thread only, as Log; it is the log's
// observer, and calls `done` once. `log` and `codec` outlive it.
class BucketWriter final : public jetstream::Log::Observer {
 public:
  struct Progress {
    uint64_t records = 0;  // in the stream
    uint64_t bytes = 0;    // of them, sent by this writer
  };
  struct Options {
    // For a bucket that is empty. One that is being filled with the same (`what`) goes on with the
    // id and revisions that it has.
    jetstream::RestoreRecord restore;
    // What the records will take in the stream, about; 0: nobody knows. More than there is room
    // for: kNoSpace, before anything is written.
    uint64_t expected_bytes = 0;
    std::function<void(const Progress&)> progress{};
  };
  struct Result {
    jetstream::RestoreRecord restore;
    bool was_whole = false;  // before, and nothing was done
    uint64_t found = 0;      // records that were there already
    uint64_t records = 0;    // in all
    uint64_t bytes = 0;      // sent
  };
  // Told what the bucket is being filled with; gives the feed, which outlives the writer.
  using BeginFn = std::function<absl::StatusOr<BucketFeed*>(const jetstream::RestoreRecord&)>;
  // Errors: AlreadyExists, the bucket has something else in it, or has been written to since it was
  // filled; FailedPrecondition, it is being filled with something else or was with another bump, or
  // others write to it; InvalidArgument, a key or value is too
  // large for this server; kNoSpace; what the feed says.
  using DoneFn = std::function<void(absl::StatusOr<Result>)>;

  BucketWriter(Executor* executor, jetstream::Log* log, const jetstream::SubjectCodec* codec,
               Options options, BeginFn begin, DoneFn done);

  // The feed has more.
  void Wake() { Pump(); }
  [[nodiscard]] bool connected_once() const { return connection_ > 0; }

  // Log::Observer
  void OnConnected(const jetstream::LogInfo& info) override;
  void OnDisconnected(const absl::Status& why) override;
  void OnAppended(StreamSeq seq) override;
  void OnRefused(StreamSeq seq, const absl::Status& why) override;
  void OnDurable(StreamSeq seq) override;
  void OnForeignTerm() override {}

 private:
  enum class Stage { kLooking, kFeeding, kFed, kReadingBack, kSealing, kEnded };
  // What control records say of the bucket.
  struct Head {
    std::optional<jetstream::RestoreRecord> restore;
    std::optional<jetstream::TermRecord> whole;
    StreamSeq whole_seq;  // of that
  };
  using Step = void (BucketWriter::*)();

  void ReadHead();
  void JudgeHead(StreamSeq last);
  [[nodiscard]] absl::Status JudgeWhole(StreamSeq last) const;
  // Of what the bucket is filled with, or was, to what this writer was told.
  [[nodiscard]] absl::Status CheckBump() const;
  void ReadExisting();
  void AskRoom();
  void Begin();
  void Pump();
  [[nodiscard]] bool Feed();
  void BeginAnew();
  [[nodiscard]] absl::Status CheckSize(const revision::PlannedRecord& record) const;
  void Push(revision::PlannedRecord record);
  void CatchUp();
  void OnCaughtUp(StreamSeq last, bool foreign);
  void ReadBack();
  void Seal();
  // Reads from `from` on, and calls `done` only if it ended well on this connection; otherwise
  // `again` runs later.
  void ReadFrom(jetstream::Log::ReadOptions options, jetstream::Log::RecordFn on_record, Step again,
                std::function<void(StreamSeq last)> done);
  void After(std::chrono::milliseconds delay, Step step);
  void Pop();
  void End(absl::Status status);

  [[nodiscard]] std::string WholeName() const;
  [[nodiscard]] revision::PlannedRecord System(std::string subject, std::string payload,
                                               Revision revision, Term term) const;
  [[nodiscard]] static uint64_t FingerprintOf(const jetstream::NewRecord& record);
  [[nodiscard]] static uint64_t FingerprintOf(const jetstream::Record& record);
  [[nodiscard]] StreamSeq last() const { return StreamSeq(prints_.size()); }
  [[nodiscard]] StreamSeq confirmed() const { return StreamSeq(prints_.size() - sent_.size()); }

  Executor* const executor_;
  jetstream::Log* const log_;
  const jetstream::SubjectCodec* const codec_;
  const Options options_;
  const BeginFn begin_;
  DoneFn done_;

  Stage stage_ = Stage::kLooking;
  jetstream::LogInfo info_;
  bool connected_ = false;
  bool reading_ = false;     // what is there is not known now
  uint64_t connection_ = 0;  // number of it: what was asked on an earlier one is void
  Head head_;
  Result result_;
  BucketFeed* feed_ = nullptr;
  std::vector<uint64_t> prints_;              // of all records, number i lies at i+1
  uint64_t found_ = 0;                        // how many of them were there at first
  uint64_t fed_ = 0;                          // how many the feed (and we) have given
  bool anew_ = false;                         // what was found is void
  StreamSeq void_to_{1};                      // what counts lies behind it
  std::deque<revision::PlannedRecord> sent_;  // and not known to be there; the newest of prints_
  size_t sent_bytes_ = 0;
  size_t in_flight_ = 0;  // answers to come
  bool broken_ = false;   // one of them was a refusal
  absl::Status refusal_;
  int refusals_ = 0;  // without anything appended between
  StreamSeq durable_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_BUCKET_WRITER_H_
