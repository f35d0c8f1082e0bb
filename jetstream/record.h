// SPDX-License-Identifier: Apache-2.0
//
// What jetd writes into a record besides the client's value: the header line and the payloads of
// its own records. Pure functions and plain values; any thread.
#ifndef JETD_JETSTREAM_RECORD_H_
#define JETD_JETSTREAM_RECORD_H_

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/types.h"

namespace jetd::jetstream {

// Version of everything below. A stream written by a higher one is refused without a write, and so
// is one with a record of a kind that is not known (SubjectCodec::Kind::kOther): whoever adds a
// kind need not raise the version. Whoever raises it adds fixtures (replication/fixtures).
#ifdef JETD_FORMAT_VERSION  // a test's jetd of the version to come: conformance/upgrade
inline constexpr int kFormatVersion = JETD_FORMAT_VERSION;
#else
inline constexpr int kFormatVersion = 1;
#endif

// The header line `Jetd: <revision> <create> <version> <lease> <i>/<n> <term>`, decimal except the
// lease, which is hex without a prefix. Example: `Jetd: 1042 17 5 0 1/3 2`.
//
// A transaction of n records is committed when its record n/n is in the stream. All records of one
// transaction carry the same revision; a record of a key is change number i-1 of it (etcd's sub
// revision), and records of jetd's own come after the keys' records. A delete has version 0 and
// create 0. A record of jetd's own that stands alone (1/1: a lease, a compaction, a term) carries
// the newest revision before it and adds none.
struct RecordHeader {
  Revision revision;
  Revision create_revision;
  int64_t version = 0;
  LeaseId lease;
  uint32_t index = 1;  // i, from 1
  uint32_t count = 1;  // n
  Term term;

  friend bool operator==(const RecordHeader&, const RecordHeader&) = default;
};

// REQUIRES: revisions and version not negative, 1 <= index <= count.
[[nodiscard]] std::string EncodeHeader(const RecordHeader& header);
// InvalidArgument with the reason; never reads beyond `line`. Refuses what EncodeHeader would not
// write (leading zeros, signs, spaces, i > n, n = 0), so that a header has one spelling, and the
// largest revision, version and term, behind which there is no next one.
[[nodiscard]] absl::StatusOr<RecordHeader> DecodeHeader(std::string_view line);

// The payloads below are one JSON object each, so that `nats kv get` shows them to people. Encoding
// never fails: bytes that are not UTF-8 become U+FFFD. Decoding answers InvalidArgument with the
// reason for what is not such an object, lacks a field or has one out of range, or is larger than
// limits::kMaxOwnRecordBytes. A field that is not known is ignored; one that must not be overlooked
// raises kFormatVersion.

// Sequences first..last, both in; first >= 1.
struct SeqRange {
  StreamSeq first;
  StreamSeq last;
  friend bool operator==(const SeqRange&, const SeqRange&) = default;
};

// `_jetd.term`: a leader takes over. Example:
//   {"client_urls":["http://127.0.0.1:2379"],"format":1,"incarnation":"9f…","member_id":"8e9e05c5",
//    "member_name":"default","term":2,"voids":[[7,9]]}
struct TermRecord {
  int format = kFormatVersion;
  Term term;
  std::string incarnation;  // 128 random bits in hex: a leader knows its own by it
  uint64_t member_id = 0;   // hex in the JSON, as etcd's tools show it
  std::string member_name;  // this and every other text: at most 4096 bytes
  std::vector<std::string> client_urls;
  std::vector<SeqRange> voids;  // sequences that count as never written
};
[[nodiscard]] std::string EncodeTerm(const TermRecord& term);
// FailedPrecondition: its format is newer than kFormatVersion; the rest of it is not looked at.
[[nodiscard]] absl::StatusOr<TermRecord> DecodeTerm(std::string_view payload);

// `_jetd.compact`: everything below `revision` is gone for readers; superseded records at or below
// `bound` may be removed.
struct CompactRecord {
  Revision revision;
  StreamSeq bound;
};
[[nodiscard]] std::string EncodeCompact(const CompactRecord& compact);
[[nodiscard]] absl::StatusOr<CompactRecord> DecodeCompact(std::string_view payload);

// `_jetd.live`: of the records of keys and leases at the sequences of `range`, those in `live`
// count and no others, should any be there: whatever else is found was deleted, and nats-server
// brought it back (docs/adr/0019). It stays true, since nothing new ever comes into `range`.
// Example:
//   {"from":1,"live":"AQEA","to":9}    2, 4 and 5: base64 of what each is above the one before it
//                                      (the first: above from-1), less one, as varints
struct LiveRecord {
  SeqRange range;
  std::vector<StreamSeq> live;  // ascending, within `range`
};
// At most this many, so that the payload stays within limits::kMaxOwnRecordBytes.
inline constexpr size_t kMaxLivePerRecord = 48 * 1024;
[[nodiscard]] std::string EncodeLive(const LiveRecord& record);
[[nodiscard]] absl::StatusOr<LiveRecord> DecodeLive(std::string_view payload);

// An alarm, as etcd has it: of a kind, for a member. And one of jetd's own, of which no client is
// told: a mirror is no copy (docs/adr/0092-mirrors-are-audited.md).
enum class AlarmType { kNoSpace = 1, kCorrupt = 2, kMirror = 1'000 };  // etcd's numbers
struct Alarm {
  AlarmType type = AlarmType::kNoSpace;
  // Whatever the client said. kMirror: when the mirror's stream was made, in ns since 1970.
  uint64_t member_id = 0;
  friend auto operator<=>(const Alarm&, const Alarm&) = default;
};
[[nodiscard]] const char* NameOf(AlarmType type);      // "NOSPACE"
[[nodiscard]] std::string ToText(const Alarm& alarm);  // "NOSPACE 8e9e05c5"

// `_jetd.alarm`: the alarms that are raised from here on, all of them. Example:
//   {"alarms":["NOSPACE 8e9e05c5"]}    kind and member
// One of a kind that is not known is left out.
struct AlarmRecord {
  std::vector<Alarm> alarms;
};
[[nodiscard]] std::string EncodeAlarms(const AlarmRecord& record);
[[nodiscard]] absl::StatusOr<AlarmRecord> DecodeAlarms(std::string_view payload);

// `_jetd.lease.<hex id>`: a lease granted; as a delete: gone.
struct LeaseRecord {
  int64_t ttl_s = 0;       // 1 to limits::kMaxLeaseTtlSeconds
  int64_t granted_ms = 0;  // wall time, for people
};
[[nodiscard]] std::string EncodeLease(const LeaseRecord& lease);
[[nodiscard]] absl::StatusOr<LeaseRecord> DecodeLease(std::string_view payload);

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_RECORD_H_
