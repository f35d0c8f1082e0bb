// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_CHECKPOINT_H_
#define JETD_REVISION_CHECKPOINT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/types.h"
#include "jetstream/record.h"
#include "revision/store.h"
#include "revision/system_records.h"

namespace jetd::revision {

// What a checkpoint says beside the versions: of which stream it is, how far it goes, and all else
// that a replay up to there would have found.
struct CheckpointHead {
  std::string bucket;
  int64_t created_ns = 0;  // of the stream
  StreamSeq seq;           // all records at or below it are in the store, or count for nothing
  Term term;               // of the newest term record up to there
  std::string incarnation;
  StreamSeq term_seq;
  Revision revision;
  Revision compacted;
  std::vector<Store::LeaseInfo> leases;
  std::vector<jetstream::Alarm> alarms;
  SystemRecords system;
  // Garbage that may still lie in the stream.
  std::vector<StreamSeq> hidden, markers, last_markers;
  // What its cold versions refer to.
  std::vector<ValueFiles::SegmentSize> segments;
};

// A checkpoint is the whole store in one file, written at a clean stop and used up by the next
// start, which then reads from the stream only what came after it
// (docs/adr/0020-a-checkpoint-at-a-clean-stop.md). The file is
//
//   mark and version of the format, 8 bytes
//   frames: size, CRC-32C of all frames' bytes so far, bytes
//           the first is the head, the last says how many versions lie between
//
// and is right only if it is whole. Versions stand in the order of keys, those of a key from the
// oldest on, as KvBlock writes itself. Numbers are in the machine's byte order.
//
// Who changes any of it, KvBlock::AppendTo and CheckpointHead included, changes the version.
//
// Thread rules: the thread of the store.

// Writes and syncs `path`, over what was there. REQUIRES: nothing is pending in the store.
[[nodiscard]] absl::Status WriteCheckpoint(const std::string& path, const CheckpointHead& head,
                                           const Store& store);

class Checkpoint {
 public:
  // Reads `path` and checks that it is whole. kNotFound if there is none.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Checkpoint>> Open(const std::string& path);
  ~Checkpoint();
  Checkpoint(const Checkpoint&) = delete;
  Checkpoint& operator=(const Checkpoint&) = delete;

  [[nodiscard]] const CheckpointHead& head() const { return head_; }
  // Fills an empty store. After an error the store is to be cleared.
  [[nodiscard]] absl::Status Load(Store* store) const;

 private:
  Checkpoint() = default;
  absl::Status Check();

  const char* data_ = nullptr;  // mapped
  size_t size_ = 0;
  CheckpointHead head_;
  std::vector<std::string_view> frames_;  // of versions
};

// Removes `path`, so that no later start finds it. True if it is gone for good.
bool RemoveCheckpoint(const std::string& path);

}  // namespace jetd::revision

#endif  // JETD_REVISION_CHECKPOINT_H_
