// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_POINT_SURVEY_H_
#define JETD_REPLICATION_POINT_SURVEY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "base/types.h"
#include "replication/point.h"
#include "replication/transaction_reader.h"

namespace jetd::replication {

// A record of a client: of a key or a lease, and not jetd's own. They are what has a time.
[[nodiscard]] bool IsOfClients(const StreamTransaction& transaction);
// It has a revision of its own: it changed a key, though the record of that may be gone.
[[nodiscard]] bool ChangesKeys(const StreamTransaction& transaction);

// PointSurvey finds out which states of a bucket its stream still holds, from the numbers that each
// record carries (docs/adr/0070). Above the compact revision C all is there. At or below it records
// may have been removed: those that another record of the key, at or below C, has superseded, and
// in the end delete markers.
//
//   a revision is broken     if not all of its n records are there
//   a change is torn off     if the one before it is not there: it is no first version and the
//                            version before it is missing; it deletes a key whose value is missing,
//                            or whose value lies in front of a broken revision
//
// Up to the first broken revision all is whole. Between the first and the last one a key may have
// lived of which nothing is left. From the last one on no such key is alive any more, and every
// other is what its newest record says, but for the stretch before a change that is torn off. So
// there are two ranges:
//
//   1 … first broken - 1,   max(last broken, last torn off) … current
//
// Example: put a (2), put b (3), delete a (4), put b (5), put c (6), compacted at 5 and cleaned up:
//   what is left: b at 5 (version 2), c at 6. Broken: 2, 3, 4. Torn off: 5. Left: 5 to 6.
//
// A value may outlive, for the reader, the delete marker that ended it: it was read before a leader
// removed both, or nats-server brought it back (docs/adr/0019). Such a ghost shows by a list of
// what lives that leaves it out, or by a first version of its key above C. It is not there at C.
//
// Memory: the key and about 60 bytes for each live key. One thread.
class PointSurvey {
 public:
  // The next transaction that counts. `compacted`: the newest compaction that is known of.
  void Add(const StreamTransaction& transaction, Revision compacted);
  // Latest stamp so far of a client's record, and the first one. 0: none.
  [[nodiscard]] int64_t clock_ns() const { return clock_ns_; }
  [[nodiscard]] int64_t first_ns() const { return first_ns_; }
  // Once, at the end. An error of `end` is damage behind the last transaction.
  [[nodiscard]] Points Finish(const absl::StatusOr<TransactionReader::Result>& end);
  struct Ghost {
    std::string key;
    Revision mod;
  };
  // After Finish. Not there at the compact revision and above.
  [[nodiscard]] const std::vector<Ghost>& ghosts() const { return ghosts_; }

 private:
  struct Version {
    Revision mod, create;
    int64_t version = 0;
    bool dropped = false;
  };
  void NoteTime(int64_t time_ns);
  void NoteBroken(Revision first, Revision last);
  void NoteTorn(Revision at, int64_t from_ns);
  void AddGhost(const std::string& key, Revision mod);
  [[nodiscard]] bool Follows(const StreamTransaction::Op& op, Revision revision,
                             const Version* before) const;
  void Change(const StreamTransaction::Op& op, Revision revision);

  absl::flat_hash_map<std::string, Version> live_;
  std::vector<Ghost> ghosts_;
  Revision newest_{1};     // of the last transaction with a revision
  int64_t newest_ns_ = 0;  // clock_ns_ then
  int64_t clock_ns_ = 0, first_ns_ = 0;
  Revision compacted_;
  int64_t compacted_ns_ = 0;  // clock_ns_ when it was reached
  Revision broken_;           // first broken revision; 0: none
  int64_t before_broken_ns_ = 0;
  Revision last_broken_;
  Revision from_{1};  // of the upper range
  int64_t from_ns_ = 0;
  uint64_t went_back_ = 0;
  int64_t went_back_ns_ = 0;
};

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_POINT_SURVEY_H_
