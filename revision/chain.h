// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_CHAIN_H_
#define JETD_REVISION_CHAIN_H_

#include <cstddef>
#include <deque>

#include "base/limits.h"
#include "base/types.h"
#include "jetstream/log.h"
#include "revision/planned_record.h"

namespace jetd::revision {

// Chain is the stretch of the stream that this leader is writing: records that have a place in the
// order but no answer yet. It sends them in order within a window, and knows for every sequence
// what should be there.
//
//   Reset(10)            landed 10, sent 10, next 11
//   Push(a) Push(b)      next 13
//   SendMore()           sent 12: a predicted at 11, b at 12
//   OnAppended(11)       landed 11
//   connection lost      is b at 12 or not? Read the tail; if it is, OnFound(12)
//   Rewind()             sent = landed: b is sent again, the same bytes for the same place
//
// Engine thread only. The owner keeps every pushed record in place until it has landed or Reset.
class Chain {
 public:
  explicit Chain(jetstream::Log* log) : log_(log) {}

  // Forgets what is pending; the stream ends at `last`.
  void Reset(StreamSeq last);

  // The place that the next pushed record gets.
  [[nodiscard]] StreamSeq next() const { return StreamSeq(landed_.value() + records_.size() + 1); }
  void Push(const PlannedRecord* record);

  // Sends what the window allows. The window bounds what is in flight; what waits is bounded by
  // whoever pushes.
  void SendMore();

  // The answer for `seq`. True: the next one in order, now landed. False: it changes nothing: it
  // lies behind a refusal (the stream compares numbers: where a foreign record took the refused
  // one's place, the ones behind it fit and land, but they do not count).
  bool OnAppended(StreamSeq seq);
  // A refusal came: one answer less to wait for, and nothing behind it counts until Rewind or
  // Reset.
  void OnRefused();
  // The tail was read: is the record found at its place the one meant for it? Then it has landed.
  bool OnFound(const jetstream::Record& found);

  // The connection is gone: no answer will come to what was sent.
  void OnDisconnected() { unanswered_ = 0; }

  // Everything above landed() is to be sent again. REQUIRES: no answer outstanding.
  void Rewind();

  // Everything up to here is in the stream, as predicted.
  [[nodiscard]] StreamSeq landed() const { return landed_; }
  // The highest place for which something was sent.
  [[nodiscard]] StreamSeq sent() const { return sent_; }
  // Answers to come on this connection.
  [[nodiscard]] size_t unanswered() const { return unanswered_; }
  [[nodiscard]] size_t pending_records() const { return records_.size(); }

 private:
  void PopFront();

  jetstream::Log* const log_;
  StreamSeq landed_;
  StreamSeq sent_;
  std::deque<const PlannedRecord*> records_;  // those at landed_+1, landed_+2, …
  size_t in_flight_bytes_ = 0;
  size_t unanswered_ = 0;
  bool refused_ = false;
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_CHAIN_H_
