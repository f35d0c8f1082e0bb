// SPDX-License-Identifier: Apache-2.0
//
// Errors that clients must be able to tell apart. Rooms make them with `MakeError`; `GetErrc` finds
// the number again; only etcdapi/status_map turns it into a gRPC code and etcd's text. An
// absl::Status without one of these numbers is an internal error.
#ifndef JETD_BASE_ERROR_H_
#define JETD_BASE_ERROR_H_

#include <string_view>

#include "absl/status/status.h"

namespace jetd {

enum class Errc : int {
  kNone = 0,
  // revision/
  kCompacted,       // a revision below the compacted one was asked for
  kFutureRevision,  // a revision above the current one was asked for
  kKeyNotFound,     // ignore_value or ignore_lease on a key that is not there
  kKeyTooLong,      // the encoded subject would pass the server's limit (jetd's own)
  kDuplicateKey,    // one transaction writes a key twice
  // lease/
  kLeaseNotFound,
  kLeaseExists,
  kLeaseTtlTooLarge,
  // the committer
  kTooManyRequests,  // a queue is full
  kNoSpace,          // the store's quota, the stream's or the account's limit is reached
  kUnavailable,      // the connection is lost; a write's fate is sealed as "not happened"
  kNoLeader,         // this member does not lead: another does, or NATS is away for long
  kStopped,          // this member is shutting down
  kTimeout,          // no answer in time; a write may have happened
  kCorrupt,          // the stream breaks a rule that it must never break
  kRecordTooLarge,   // a record would pass the server's max_payload or the header's 64 KiB
};

// `detail` is for logs and for errors that have no text of etcd's.
[[nodiscard]] absl::Status MakeError(Errc code, std::string_view detail = {});
// kNone for an OK status and for one that MakeError did not make.
[[nodiscard]] Errc GetErrc(const absl::Status& status);

}  // namespace jetd

#endif  // JETD_BASE_ERROR_H_
