// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_LIVE_IMPORT_H_
#define JETD_CLI_LIVE_IMPORT_H_

#include <chrono>
#include <optional>

#include "absl/status/statusor.h"
#include "cli/live_store.h"
#include "cli/output.h"
#include "cli/output_flag.h"
#include "replication/bucket_restore.h"

namespace jetd::cli {

struct LiveImportOptions {
  replication::RestoreOptions restore;
  LiveStore::Options store;
  // With what changes from the first revision read on, until the cut-over. Without: one revision.
  bool follow = false;
  // Cut over when nothing has changed for so long, or at this revision; or when the user says so
  // (Output::interrupted, which before all keys were read ends it instead).
  std::optional<std::chrono::milliseconds> until_idle{};
  Revision until{};
  bool dry_run = false;
  OutputForm form = OutputForm::kTable;
};

// Fills a new bucket from an etcd or kine that runs, over its API. All keys at one revision come
// first, then the events of a watch from the next one on, as the transactions that they were. At
// the cut-over the old store is read once more, and what differs is written anew; all is read back
// and compared with it, key by key (docs/adr/0081). Cut short, it begins anew in the same bucket.
// One that is whole is compared with the old store: FailedPrecondition if that has gone on. Memory:
// the old store's keys and values, twice at the end.
[[nodiscard]] absl::StatusOr<int> ImportLive(Output* output, const LiveImportOptions& options);

}  // namespace jetd::cli

#endif  // JETD_CLI_LIVE_IMPORT_H_
