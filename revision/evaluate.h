// SPDX-License-Identifier: Apache-2.0
//
// Runs one etcd operation on the store, in etcd's order of checks:
//   1. every compare of the transaction, nested ones too, on the state before it;
//   2. every put of the branches taken: ignore_value and ignore_lease want a key, a lease must be
//      there; then every range: its revision must be readable;
//   3. the operations, each seeing the ones before it.
// So a transaction that fails changes nothing, and step 3 cannot fail for reasons of step 2.
//
// Engine thread only. Pure but for the store.
#ifndef JETD_REVISION_EVALUATE_H_
#define JETD_REVISION_EVALUATE_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/types.h"
#include "jetstream/subject.h"
#include "revision/request.h"
#include "revision/store.h"

namespace jetd::revision {

// What bounds a record; from the log.
struct RecordLimits {
  const jetstream::SubjectCodec* codec = nullptr;
  size_t max_subject_bytes = 0;
  size_t max_payload_bytes = 0;
};

// Evaluates `op` inside the store's open transaction. `first_seq`: where the record of its first
// change will lie; number k lies k further. On an error the caller aborts the transaction.
// Errors: kKeyNotFound, kLeaseNotFound, kCompacted, kFutureRevision, kKeyTooLong, kRecordTooLarge.
[[nodiscard]] absl::StatusOr<OpResult> EvaluateWrite(const Op& op, const RecordLimits& limits,
                                                     StreamSeq first_seq, Store* store);

// Evaluates an operation that cannot write (REQUIRES: !MayWrite(op)) on committed state.
[[nodiscard]] absl::StatusOr<OpResult> EvaluateRead(const Op& op, const Store& store);

}  // namespace jetd::revision

#endif  // JETD_REVISION_EVALUATE_H_
