// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_IN_PLACE_H_
#define JETD_CLI_IN_PLACE_H_

#include <string>

#include "absl/status/statusor.h"
#include "cli/figures.h"
#include "cli/live_store.h"
#include "cli/output.h"
#include "replication/bucket_state.h"
#include "replication/key_selection.h"

namespace jetd::cli {

struct InPlaceOptions {
  std::string moment;  // what is restored, for people
  const replication::KeySelection* selection = nullptr;
  LiveStore::Options store;
  bool dry_run = false;
  bool yes = false;  // otherwise somebody is asked, on a terminal; without one it is refused
  OutputForm form = OutputForm::kTable;
  std::string undo;  // the command that undoes it, but for the revision to restore
};

// Makes the selected keys of a store that is served into what they were: plans, asks, writes
// (change_writer.h), says how it ended and how to undo it.
[[nodiscard]] absl::StatusOr<int> RestoreInPlace(Output* output, const InPlaceOptions& options,
                                                 const replication::BucketState& wanted);

}  // namespace jetd::cli

#endif  // JETD_CLI_IN_PLACE_H_
