// SPDX-License-Identifier: Apache-2.0
//
// What a check of a bucket's stream found. Plain values; any thread.
#ifndef JETD_REPLICATION_CHECK_REPORT_H_
#define JETD_REPLICATION_CHECK_REPORT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace jetd::replication {

// What may be wrong. Each is something that no run of jetd, of its nats-server, and no power cut
// leaves behind.
enum class Damage {
  kForeign,   // somebody else's record, that no term record names void
  kTerm,      // leadership: a term twice, backwards, or without its record
  kVoid,      // a term record names what it cannot know
  kGroup,     // a transaction neither whole nor void
  kRevision,  // a hole in the revisions, or one that comes again
  kKey,       // create revision, version or delete marker do not follow from the history of the key
  kLease,     // a lease that was not granted, twice, or gone with keys on it
  kCompact,   // a compaction record says what cannot be
  kList,      // so does a list of what lives
  kIndex,     // the store that a replay builds says something else than the stream
  kHash,      // so does a jetd that runs
  kAlarm,     // a record of alarms cannot be read
};
inline constexpr size_t kDamageKinds = 12;
// "foreign", "term", … as the JSON has it.
[[nodiscard]] std::string_view NameOf(Damage damage);

struct Problem {
  Damage damage = Damage::kForeign;
  StreamSeq seq;             // 0: of no single record
  std::string subject = {};  // of that record
  std::string key = {};      // if it is one of a key
  Revision revision = {};    // 0: none
  std::string what = {};     // for people
};

// Records that count for nothing and may go, or are gone for readers: no damage.
struct GarbageCounts {
  uint64_t voided = 0;       // named by a term record
  uint64_t superseded = 0;   // values below the compact revision with a newer one of their key
  uint64_t markers = 0;      // of deletes and leases that are gone, likewise
  uint64_t came_back = 0;    // removed before, as a list of what lives says
  uint64_t barriers = 0;     //
  uint64_t own_records = 0;  // earlier compaction records and lists; terms that are over
  [[nodiscard]] uint64_t sum() const {
    return voided + superseded + markers + came_back + barriers + own_records;
  }
};

struct CheckReport {
  // What was read.
  StreamSeq last;
  uint64_t records = 0;
  Revision revision{1};
  Revision compacted;  // 0: never
  Term term;
  uint64_t keys = 0;  // live at `revision`
  uint64_t leases = 0;
  GarbageCounts garbage;

  // All are counted, the first kMaxProblems kept.
  std::vector<Problem> problems;
  std::array<uint64_t, kDamageKinds> counts{};
  // What is not damage and worth a word: the next leader mends it.
  std::vector<std::string> notices;

  // Set when a store was built from the stream.
  bool replayed = false;
  uint32_t hash = 0;  // HashKV at `revision` and `compacted`
  // What was compared beside the stream with itself, in words: "the checkpoint", say.
  std::vector<std::string> compared;

  static constexpr size_t kMaxProblems = 1'000;
  void Add(Problem problem);
  [[nodiscard]] uint64_t damages() const;
};

// "sequence 12, subject $KV.b.k, key k, revision 7: …". Bytes that are not printable ASCII stand as
// \xNN.
[[nodiscard]] std::string ToText(const Problem& problem);
// The whole report, several lines, the verdict last.
[[nodiscard]] std::string ToText(const CheckReport& report);
// One JSON object, keys as base64.
[[nodiscard]] std::string ToJson(const CheckReport& report);

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_CHECK_REPORT_H_
