// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_BACKEND_FILE_H_
#define JETD_ETCDAPI_BACKEND_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/bolt/writer.h"
#include "base/types.h"
#include "jetstream/record.h"
#include "revision/snapshot.h"

namespace jetd::etcdapi {

// BackendFile is a snapshot of the store in the form of etcd 3.5's backend file (member/snap/db, a
// bbolt file), written from front to end. An etcd restored from it has the same history: it answers
// HashKV of any revision with the same number, and holds the leases. Names and forms are etcd's:
//
//   bucket    key                                     value
//   key       revision: main and sub as 8 bytes each, mvccpb.KeyValue; of a tombstone its
//             big-endian, "_" between; "t" behind     key alone
//             for a tombstone
//   lease     id, 8 bytes big-endian                  leasepb.Lease
//   meta      consistent_index, term                  8 bytes big-endian
//             finishedCompactRev,                     a revision, as above
//             scheduledCompactRev
//   cluster   clusterVersion                          3.5.0
//   alarm     etcdserverpb.AlarmMember                nothing
//   auth, authRoles, authUsers, members, members_removed: empty
//
// Thread rules: the engine thread, on which the snapshot is.
class BackendFile {
 public:
  struct Position {
    uint64_t index = 0;  // what etcd calls the consistent index; a restore sets its own
    uint64_t term = 0;
  };
  // `alarms`: those that are raised.
  BackendFile(std::unique_ptr<const revision::Snapshot> snapshot, const Position& position,
              const std::vector<jetstream::Alarm>& alarms);

  // Of the whole file.
  [[nodiscard]] uint64_t size() const { return writer_->size(); }
  [[nodiscard]] bool done() const { return writer_->done(); }
  // Appends pages of it until at least `bytes` more are in *out, or the file ends.
  [[nodiscard]] absl::Status Write(size_t bytes, std::string* out) {
    return writer_->Write(bytes, out);
  }

 private:
  std::unique_ptr<const revision::Snapshot> snapshot_;
  std::unique_ptr<bolt::Writer> writer_;
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_BACKEND_FILE_H_
