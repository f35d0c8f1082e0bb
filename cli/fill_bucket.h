// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_FILL_BUCKET_H_
#define JETD_CLI_FILL_BUCKET_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "cli/output.h"
#include "cli/output_flag.h"
#include "replication/bucket_restore.h"
#include "replication/bucket_state.h"

namespace jetd::cli {

// Fills a new bucket with `state`, or says what that would be, and tells the end.
[[nodiscard]] absl::StatusOr<int> FillBucket(Output* output, OutputForm form, bool dry_run,
                                             const std::string& moment,
                                             const replication::RestoreOptions& options,
                                             replication::BucketState state);

// Once a filling is connected: a connection that is lost from here on is waited for, which is worth
// a line of the log.
void LogWhatIsWaitedFor();

// How a filling ended, for people or as JSON, which has `more` numbers.
void TellFilled(Output* output, OutputForm form, const std::string& moment,
                const replication::RestoreReport& report,
                const std::map<std::string, int64_t>& more = {});

}  // namespace jetd::cli

#endif  // JETD_CLI_FILL_BUCKET_H_
