// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_TRANSACTION_READER_H_
#define JETD_REPLICATION_TRANSACTION_READER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/types.h"
#include "jetstream/log.h"
#include "jetstream/subject.h"
#include "revision/replay.h"

namespace jetd::replication {

// One transaction as it lies in a bucket's stream, its records together.
struct StreamTransaction {
  enum class Kind {
    kPut,
    kDelete,
    kLeaseGrant,
    kLeaseGone,
    kCompact,
    kTerm,
    kBarrier,
    kLive,
    kAlarm,
    kOther
  };
  struct Op {
    StreamSeq seq;
    Kind kind = Kind::kOther;
    std::string key{};      // kPut, kDelete
    std::string payload{};  // a put's value, or the JSON of jetd's own record
    Revision create_revision{};
    int64_t version = 0;
    LeaseId lease{};  // attached to, granted or gone
    // A list of what lives leaves it out: superseded or deleted at the compact revision, whatever
    // of that is left.
    bool dropped = false;
  };

  Revision revision;
  Term term;
  int64_t time_ns = 0;  // the stream's, of the last record
  // False: a term record or the order of terms says that it never was.
  bool counts = true;
  uint32_t count = 1;  // records that it was written with; there may be fewer ops
  std::vector<Op> ops;
};

// Reads a stream as the ordered list of its transactions, by the rules of revision/replay.h. At or
// below the compact revision parts of transactions may be gone; above it each is whole, and a
// stream that breaks the rules is an error (kCorrupt), whoever writes it. A transaction cut short
// at the end is undecided and is not told.
//
// Memory: revision::Replay's without a store, and one transaction.
//
// Engine thread only. `log` is open and connected, and outlives the reader, as does `codec`.
class TransactionReader {
 public:
  struct Result {
    StreamSeq last;  // all up to here was read
    Revision revision;
    Revision compacted;  // 0: never
    Term term;
    bool undecided = false;  // what lies behind the last transaction that counts
  };
  using TransactionFn = std::function<void(StreamTransaction)>;
  using DoneFn = std::function<void(absl::StatusOr<Result>)>;

  TransactionReader(jetstream::Log* log, const jetstream::SubjectCodec* codec);

  // Once. Void transactions are told where they lie, at the latest before the term record that
  // voids them.
  void Run(TransactionFn on_transaction, DoneFn done);
  // From the first transaction on: the newest of all that will come by. 0: never.
  [[nodiscard]] Revision compacted() const { return replay_.compacted(); }
  // Records read so far, for progress.
  [[nodiscard]] uint64_t records() const { return replay_.records(); }

 private:
  void OnJudged(const revision::Replay::Held& held, revision::Replay::Verdict verdict);
  void Flush();

  revision::Replay replay_;
  TransactionFn on_transaction_;
  StreamTransaction current_;
  jetstream::RecordHeader newest_;  // of current_
};

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_TRANSACTION_READER_H_
