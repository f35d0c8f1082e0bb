// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_RESTORE_RECORD_H_
#define JETD_JETSTREAM_RESTORE_RECORD_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/types.h"
#include "jetstream/subject.h"

namespace jetd::jetstream {

// `_jetd.restore`: the first record of a bucket that is being filled from elsewhere. As long as no
// term record voids it, the bucket is not whole and nobody may serve it: it is of a kind that is
// not known (SubjectCodec::Kind::kOther), which every version refuses (replay rule R9), so that
// this needs no higher format. Example:
//   {"bump":1000000000,"bumped":1000000042,"id":"9f…","revision":42,"what":"revision 42 of …"}
struct RestoreRecord {
  std::string what;   // it is filled with, for people, and to know it again
  std::string id;     // 128 random bits in hex: incarnation of the term record at its end
  Revision revision;  // at least 1: of the source's state
  Revision bumped;    // above that: what the bucket is at in the end, compacted up to there
  int64_t bump = 0;   // that was asked for; 0: by a jetctl that did not write it down
};

[[nodiscard]] std::string RestoreSubject(const SubjectCodec& codec);
// Encoding never fails: bytes that are not UTF-8 become U+FFFD. InvalidArgument for what is no such
// record. Pure; any thread.
[[nodiscard]] std::string EncodeRestore(const RestoreRecord& restore);
[[nodiscard]] absl::StatusOr<RestoreRecord> DecodeRestore(std::string_view payload);

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_RESTORE_RECORD_H_
