// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_TRIM_RULE_H_
#define JETD_REPLICATION_TRIM_RULE_H_

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "base/types.h"
#include "jetstream/record.h"
#include "replication/transaction_reader.h"

namespace jetd::replication {

// TrimRule says which records of a mirror go when its history is cut off at a horizon. Every state
// at or after the horizon can still be read, none before it.
//
//   of each key and each lease the newest version at the horizon stays, a delete marker too (it
//   hides older ones that nats-server may bring back to life), and all after it;
//   so do the newest compaction and the newest alarms there, and the newest term record;
//   term records that void something stay; so do lists of what lives, until later ones before the
//   horizon speak of all that they speak of;
//   what is void, and barriers, goes.
//
//   put a (2), put b (3), put a (4), delete b (5), put a (6)
//     horizon 4: 2 goes        horizon 5: 2 and 3 go
//
// Above the compact revision of the stream a reader wants every revision, so the horizon is at most
// there. Plain value; about 100 bytes and the key for each key.
class TrimRule {
 public:
  struct Horizon {
    Revision revision{std::numeric_limits<int64_t>::max()};
    // The point right before the first transaction that is stamped later.
    int64_t time_ns = std::numeric_limits<int64_t>::max();
  };
  struct Plan {
    Revision horizon;  // as it is
    uint64_t records = 0;
    std::vector<StreamSeq> removed;  // ascending
  };

  explicit TrimRule(Horizon horizon) : horizon_(horizon) {}

  // All transactions of the stream, in order.
  void Apply(const StreamTransaction& transaction);
  // `compacted`: the compact revision of the stream.
  [[nodiscard]] Plan Finish(Revision compacted);

 private:
  // Goes if what makes it superfluous is not above the compact revision.
  struct Candidate {
    StreamSeq seq;
    Revision by;
  };
  void Note(StreamSeq seq, Revision by) { candidates_.push_back({seq, by}); }
  void ApplyOp(const StreamTransaction::Op& op, Revision revision);
  void ApplyList(const StreamTransaction::Op& op);
  // `*newest` is superseded by `seq`.
  void Supersede(StreamSeq* newest, StreamSeq seq, Revision revision);

  const Horizon horizon_;
  bool behind_ = false;  // the horizon
  Revision revision_;    // newest before it
  uint64_t records_ = 0;
  std::map<std::string, StreamSeq> keys_;
  std::map<LeaseId, StreamSeq> leases_;
  StreamSeq compact_, alarm_, term_;
  // A list, and of what it speaks that no later one does.
  struct List {
    StreamSeq seq;
    std::vector<jetstream::SeqRange> alone;
  };
  std::vector<List> lists_;
  std::vector<Candidate> candidates_;
};

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_TRIM_RULE_H_
