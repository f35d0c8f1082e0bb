// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_SNAPSHOT_FILE_H_
#define JETD_REPLICATION_SNAPSHOT_FILE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "replication/bucket_state.h"

namespace jetd::replication {

// What a snapshot file of etcd 3 holds, whether etcd or jetd made it (`etcdctl snapshot save`, or a
// copy of member/snap/db of a stopped etcd): the newest state, and what of the rest is left out.
struct SnapshotContents {
  BucketState state;
  uint64_t versions = 0;   // in the file, tombstones too; the newest of each key is taken
  bool has_users = false;  // auth is switched on in it; users and roles are not taken
};

// kRequired: InvalidArgument for a file without the SHA-256 that `snapshot save` puts at its end,
// which a copy of a database file lacks.
enum class SnapshotSum { kRequired, kSkipped };

// Of the bytes of a file. InvalidArgument, with what is wrong: no such file, cut short, damaged.
// Nothing in them is trusted. Any thread.
[[nodiscard]] absl::StatusOr<SnapshotContents> ParseSnapshot(std::string_view file,
                                                             SnapshotSum sum);
// The same from a path; the file is mapped, not read. NotFound, FailedPrecondition: it cannot be.
[[nodiscard]] absl::StatusOr<SnapshotContents> ReadSnapshot(const std::string& path,
                                                            SnapshotSum sum);

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_SNAPSHOT_FILE_H_
