// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_SUBJECT_H_
#define JETD_JETSTREAM_SUBJECT_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/types.h"

namespace jetd::jetstream {

// Subjects of one bucket: etcd keys to `$KV.<bucket>.<key>` and back. Immutable; any thread.
//
// A key byte stands for itself where NATS's KV tools take it (letters, digits, `-`, `/`, `_`, `.`),
// every other byte is `=XX` (upper-case hex), `=` itself included. Two more cases keep the result
// a valid key that is nobody else's:
//   a dot that is the key's first or last byte or follows a dot              .a..b  ->  =2Ea.=2Eb
//   the first `_` of a key whose first token would be `_jetd`              _jetd.x  ->  =5Fjetd.x
//     (tokens of the result: `_jetd.` is `_jetd=2E`, `_jetd/x` and `_jetdx` stay as they are)
// The encoding is exactly reversible and has one spelling per key; Decode refuses any other.
// `/registry/pods/default/web` is the same on both sides.
class SubjectCodec {
 public:
  explicit SubjectCodec(std::string_view bucket);

  [[nodiscard]] const std::string& prefix() const { return prefix_; }  // "$KV.B."
  [[nodiscard]] std::string all() const { return prefix_ + ">"; }

  // REQUIRES: key not empty (etcd refuses the empty key before; checked).
  [[nodiscard]] std::string EncodeKey(std::string_view key) const;
  // Size of EncodeKey's answer without making it.
  [[nodiscard]] size_t EncodedSize(std::string_view key) const;

  [[nodiscard]] std::string TermSubject() const { return prefix_ + "_jetd.term"; }
  [[nodiscard]] std::string CompactSubject() const { return prefix_ + "_jetd.compact"; }
  [[nodiscard]] std::string BarrierSubject() const { return prefix_ + "_jetd.barrier"; }
  [[nodiscard]] std::string LiveSubject() const { return prefix_ + "_jetd.live"; }
  [[nodiscard]] std::string AlarmSubject() const { return prefix_ + "_jetd.alarm"; }
  // The id's 64 bits in lower-case hex without leading zeros.
  [[nodiscard]] std::string LeaseSubject(LeaseId id) const;
  [[nodiscard]] std::string LeaseWildcard() const { return prefix_ + "_jetd.lease.*"; }

  enum class Kind { kKey, kTerm, kCompact, kBarrier, kLive, kAlarm, kLease, kOther };
  struct Decoded {
    Kind kind = Kind::kOther;
    std::string key;  // kKey
    LeaseId lease;    // kLease
  };
  // InvalidArgument: not of this bucket, or a spelling that EncodeKey never makes. kOther:
  // anything else under `_jetd`, which this version does not know: a stream with such a record of
  // jetd's is of a later one.
  [[nodiscard]] absl::StatusOr<Decoded> Decode(std::string_view subject) const;

 private:
  std::string prefix_;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_SUBJECT_H_
