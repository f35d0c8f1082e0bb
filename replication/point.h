// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_POINT_H_
#define JETD_REPLICATION_POINT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/types.h"

namespace jetd::replication {

// A moment of a bucket's history, as it is asked for (docs/adr/0070).
//
//   kNewest        all that is committed
//   kRevision      right before the first transaction of a later revision: what was granted between
//                  revision 17 and 18 belongs to 17
//   kTime          right before the first transaction that is stamped later, by the stream's clock
//   kBeforeChange  right before the newest change of a key
//   kBeforeDeletion  right before the newest deletion of a key began (change_finder.h)
//
// Where the stream's clock went back, times do not say which moment is meant. The rule is: nothing
// that is stamped later than the time asked for is in the point, nor anything behind that.
//
//   revision   2      3      4      5      6
//   stamp     10:00  10:05  10:02  10:06  10:10
//   at 10:03: revision 2    10:05: revision 4    10:07: revision 5
struct Point {
  enum class Kind { kNewest, kRevision, kTime, kBeforeChange, kBeforeDeletion };
  Kind kind = Kind::kNewest;
  Revision revision{};   // kRevision
  int64_t time_ns = 0;   // kTime: nanoseconds since 1970
  std::string key = {};  // kBeforeChange, kBeforeDeletion
};

// "now"; "17"; "2026-11-20T15:10:00.25Z", with another offset too; "10m", "-1h30m" or "10m ago",
// that long before `now_ns`; "before:/registry/pods/default/web", or "before-deletion:" and a key.
// InvalidArgument with one line for people, which names all of these.
[[nodiscard]] absl::StatusOr<Point> ParsePoint(std::string_view text, int64_t now_ns);

// For people: "revision 17", "2026-11-20T15:10:00Z", "before the last change of /a",
// "before the deletion of /a".
[[nodiscard]] std::string ToText(const Point& point);
// "2026-11-20T15:10:00.25Z"; as many digits as it needs.
[[nodiscard]] std::string TimeText(int64_t time_ns);

// What of a stream can be restored. Revisions, ends in.
struct Points {
  struct Range {
    Revision first, last;
    // From which time on kTime gives `first`, and from which on `last`: the latest stamp up to
    // there. 0: of a store that nothing was ever written to.
    int64_t first_ns = 0, last_ns = 0;
    friend bool operator==(const Range&, const Range&) = default;
  };
  struct Gap {
    Revision first, last;
    std::string why;  // for people
    friend bool operator==(const Gap&, const Gap&) = default;
  };

  std::vector<Range> ranges;  // ascending, at most two
  std::vector<Gap> gaps;      // all in front of the last of them
  Revision current{1};        // the newest that is committed
  Revision compacted;         // 0: never. What clients of a jetd can see begins here
  int64_t last_ns = 0;        // latest stamp of a change
  StreamSeq last;             // all up to here was read
  bool undecided = false;     // revision current+1 is in the stream, not whole
  // Why nothing behind `current` can be read though there is more; OK: there is none.
  absl::Status damage;
  // Transactions stamped before one that lies in front of them, and by how much at most.
  uint64_t clock_went_back = 0;
  int64_t clock_went_back_ns = 0;

  // OK, or why there is no state of `at`: OutOfRange (no such revision yet, or it is undecided),
  // FailedPrecondition (in a gap), DataLoss (behind damage).
  [[nodiscard]] absl::Status Restorable(Revision at) const;
};

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_POINT_H_
