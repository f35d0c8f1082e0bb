// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_CHANGE_WRITER_H_
#define JETD_CLI_CHANGE_WRITER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/types.h"
#include "etcdclient/client.h"
#include "replication/state_difference.h"

namespace jetd::cli {

// How far a list of changes has come.
struct ChangeTally {
  uint64_t written = 0;
  uint64_t found = 0;     // as wanted already: somebody else, or a call that was answered late
  uint64_t again = 0;     // times that a key had changed since, and was looked at again
  uint64_t unleased = 0;  // put without their lease, which was gone by then
  Revision newest;        // of what was written
  std::string trouble;    // why the store did not answer the last call; empty: it did
};

struct ChangeOptions {
  // Of the store that is meant; 0: it has none (kine). An answer of another one ends it.
  uint64_t cluster_id = 0;
  // Transactions under way at a time.
  size_t in_flight = 32;
  std::function<void(const ChangeTally& done)> progress{};
  // Blocks for a while before calls that failed are sent again, once for all that failed together.
  // Unset: half a second.
  std::function<void()> pause{};
  const std::atomic<bool>* interrupted = nullptr;
};

// Writes changes to a live store through its API: a transaction for each key, so that each has a
// revision of its own, as kube-apiserver's watchers want it; in order, `in_flight` at a time. Each
// is guarded by the revision that the key had when it was looked at: one that has changed since is
// compared again, and written or left.
//
// Blocks. An error leaves some written and some not, and the tally says how many; the same can be
// done again, and goes on. Cancelled: `interrupted`. FailedPrecondition: another store answers at
// that address by now; what was under way may have been written there, if it knew the key in the
// same way.
[[nodiscard]] absl::Status WriteChanges(etcdclient::Client* client,
                                        const std::vector<replication::KeyChange>& changes,
                                        const ChangeOptions& options, ChangeTally* tally);

}  // namespace jetd::cli

#endif  // JETD_CLI_CHANGE_WRITER_H_
