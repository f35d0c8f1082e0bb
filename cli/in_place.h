// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_IN_PLACE_H_
#define JETD_CLI_IN_PLACE_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "cli/live_store.h"
#include "cli/output.h"
#include "cli/output_flag.h"
#include "replication/bucket_state.h"
#include "replication/key_selection.h"

namespace jetd::cli {

struct InPlaceOptions {
  std::string moment;    // what is restored, for people
  Revision revision{1};  // of it
  // How the moment was named, if that means another one once the restoring has begun
  // ("--before-change"); then `yes` is refused, with the revision that says the same for good.
  std::string moves{};
  // Of the store that was read. One that differs from that of `store` is refused, unless it is
  // meant: then there is no way back by a restore.
  uint64_t cluster_id = 0;
  bool from_another_store = false;
  const replication::KeySelection* selection = nullptr;
  LiveStore::Options store;
  bool dry_run = false;
  bool yes = false;  // otherwise somebody is asked
  // Asks, and gives the answer; FailedPrecondition: nobody is there. Unset: who sits at the
  // terminal.
  std::function<absl::StatusOr<std::string>(const std::string& question)> ask{};
  OutputForm form = OutputForm::kTable;
  // The command that does it, but for the revision to restore: with this one it goes on, with the
  // one from before it is undone.
  std::string command;
};

// Makes the selected keys of a store that is served into what they were: plans, asks, writes
// (change_writer.h), says how it ended, how to go on if it did not, and how to undo it. Who is
// asked may take his time: a plan that is no longer true by then is made anew, and asked for again.
[[nodiscard]] absl::StatusOr<int> RestoreInPlace(Output* output, const InPlaceOptions& options,
                                                 const replication::BucketState& wanted);

}  // namespace jetd::cli

#endif  // JETD_CLI_IN_PLACE_H_
