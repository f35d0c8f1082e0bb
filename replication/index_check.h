// SPDX-License-Identifier: Apache-2.0
//
// A store that a replay built, against what StreamChecker found in the stream, and against another
// store. Pure but for the store; the engine thread.
#ifndef JETD_REPLICATION_INDEX_CHECK_H_
#define JETD_REPLICATION_INDEX_CHECK_H_

#include "replication/check_report.h"
#include "replication/stream_checker.h"
#include "revision/store.h"

namespace jetd::replication {

// Leases have no history: a store that was read later may have others.
enum class Leases { kSame, kLater };

// At the checker's revision: every key's numbers and place, the leases, and the store's own
// invariants. Notes the store's HashKV. REQUIRES: store.compacted() <= the checker's revision.
void CompareWithStore(const StreamChecker& checker, Leases leases, const revision::Store& store,
                      CheckReport* report);

// The store of a checkpoint against that of the stream: revisions, leases, HashKV.
void CompareStores(const revision::Store& of_stream, const revision::Store& of_checkpoint,
                   CheckReport* report);

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_INDEX_CHECK_H_
