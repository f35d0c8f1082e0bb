// SPDX-License-Identifier: Apache-2.0
//
// Which records of the stream still count, written down: docs/adr/0019.
#ifndef JETD_REVISION_LIVE_LIST_H_
#define JETD_REVISION_LIVE_LIST_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/types.h"
#include "jetstream/record.h"

namespace jetd::revision {

// LiveSurvey makes the records of a list: noted sequences in, in any order, records out, which
// share the sequences from 1 to the survey's bound among them. Plain value, no thread of its own.
class LiveSurvey {
 public:
  // `bound`: what is above it is none of the survey's business. At least 1.
  explicit LiveSurvey(StreamSeq bound) : bound_(bound) {}

  [[nodiscard]] StreamSeq bound() const { return bound_; }
  // The record at `seq` counts. Twice is once.
  void Note(StreamSeq seq);
  // The next record, of at most `max_live` sequences; nothing when the last one was given. Takes
  // what it gives: call when all is noted. About 1 ms for 50,000.
  [[nodiscard]] std::optional<jetstream::LiveRecord> NextRecord(size_t max_live);

 private:
  // A bucket is a stretch of 4,096 sequences, so that sorting comes in small pieces.
  static constexpr unsigned kBucketBits = 12;

  const StreamSeq bound_;
  StreamSeq from_{1};  // of the next record
  std::map<uint64_t, std::vector<uint16_t>> buckets_;
};

// LiveList is what a reader has found of such records, in any order and however many: a mirror
// keeps all that were ever written. Memory: 8 bytes for each version that all of them let live.
// Plain value.
//
//   {from 1 to 9: 2, 4, 5}, then {from 1 to 20: 2, 5, 14}: 1 to 9: 2, 5;  10 to 20: 14
class LiveList {
 public:
  void Add(jetstream::LiveRecord record);
  void Clear() { stretches_.clear(); }
  // True: the record of a key or a lease at `seq` was deleted before, and came back. False: no list
  // speaks of it, or it counts.
  [[nodiscard]] bool Dead(StreamSeq seq) const;

 private:
  // By their first sequence; none overlaps another.
  std::map<StreamSeq, jetstream::LiveRecord> stretches_;
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_LIVE_LIST_H_
