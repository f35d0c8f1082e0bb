// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_VALUE_CACHE_H_
#define JETD_REVISION_VALUE_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "revision/change_log.h"
#include "revision/key_index.h"
#include "revision/kv.h"
#include "revision/lease_table.h"
#include "revision/value_files.h"

namespace jetd::revision {

// ValueCache bounds the memory that values take. Versions whose value is worth it queue up in the
// order in which they were written; when together they are larger than the budget, the oldest goes
// to the files, and its block in the index, the change log and the lease table makes room for a
// cold one. Whoever holds the hot block keeps it.
//
//   budget 3, each version 1:   put a, b, c     hot a b c
//                               put d           a is cold; hot b c d
//                               read a          loaded for the reader, who drops it; a stays cold
//                               compact, b goes hot c d
//
// Nothing comes back to memory for being read: the kernel's page cache knows better what is read.
//
// Without files (Use was not called) every version stays hot, and nothing here costs anything.
//
// Memory beside the blocks: 16 bytes for each version that queues.
//
// Thread rules: the engine thread only.
class ValueCache : public KeyIndex::Observer {
 public:
  struct Options {
    size_t budget_bytes = 0;
    // Values smaller than this stay: a cold block's location and a record's head are paid for.
    size_t min_value_bytes = 256;
  };

  ValueCache(KeyIndex* index, ChangeLog* log, LeaseTable* leases)
      : index_(index), log_(log), leases_(leases) {}

  // REQUIRES: the index is empty. At least one byte of a value is needed to make it cold.
  void Use(std::unique_ptr<ValueFiles> files, const Options& options);

  // The files, and nothing more can be loaded: the store is about to go.
  [[nodiscard]] std::unique_ptr<ValueFiles> TakeFiles() { return std::move(files_); }
  [[nodiscard]] const Options& options() const { return options_; }

  // The version with its value, read from its file if it is cold. Null for null.
  [[nodiscard]] KvRef Load(const KvBlock* v, ValueFiles::How how = ValueFiles::How::kOne) const;

  // Null without files.
  [[nodiscard]] ValueFiles* files() { return files_.get(); }

  // `v` is new in the index, and the newest of all.
  void Add(const KvBlock* v);
  // Makes what is beyond the budget cold, of a long backlog a part. No pointer to a block may be
  // held over this call without a count.
  void Balance();
  // Moves what is in use out of files that are mostly waste, a step of about 0.3 ms. True if there
  // is nothing (more) to do, or somebody has pinned the files.
  bool Clean();

  void OnDrop(const KvBlock* v) override;

  // Footprint of the versions that queue.
  [[nodiscard]] size_t hot_bytes() const { return hot_bytes_; }
  // Null without.
  [[nodiscard]] const ValueFiles* files() const { return files_.get(); }
  [[nodiscard]] bool Queues(const KvBlock* v) const;

 private:
  struct Item {
    Revision main;
    const KvBlock* kv;  // null: dropped meanwhile
  };
  // False if the disk does not take it.
  bool MakeCold(const KvBlock* hot);
  void Unqueue(const KvBlock* v);

  KeyIndex* const index_;
  ChangeLog* const log_;
  LeaseTable* const leases_;
  std::unique_ptr<ValueFiles> files_;
  Options options_;
  std::deque<Item> queue_;  // ascending
  size_t hot_bytes_ = 0;
  size_t dropped_ = 0;      // items that are null
  size_t added_bytes_ = 0;  // since the last Balance
  std::optional<uint32_t> cleaning_;
  uint32_t cleaned_ = 0;  // of that segment
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_VALUE_CACHE_H_
