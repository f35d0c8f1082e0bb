// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_BLOCK_FILES_H_
#define JETD_JETSTREAM_BLOCK_FILES_H_

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace jetd::jetstream {

// Whether a stream's folder holds a block with anything in it.
[[nodiscard]] bool HasRecords(const std::string& stream_folder);

// The numbers of the blocks in a folder from `from` on, ascending; none if it cannot be listed.
[[nodiscard]] std::optional<std::vector<uint64_t>> ListBlocks(const std::string& folder,
                                                              uint64_t from = 0);
// The same of a folder that has to be there: a JETD_CHECK.
[[nodiscard]] std::vector<uint64_t> BlockNumbers(const std::string& folder, uint64_t from = 0);

// The files that nats-server keeps a stream in, and syncing them from outside:
//
//   <stream>/meta.inf, meta.sum     configuration
//   <stream>/msgs/1.blk, 2.blk, …   records and tombstones; only the highest grows
//   <stream>/msgs/index.db          a cache, checked by checksums and made anew
//
// A block is also rewritten at times, into a new file that takes its name: then the descriptor kept
// here is of a file without a name, and what is written since is in the new one. Blocks appear,
// vanish and are replaced only with a change of the folder.
//
// One thread at a time. Every failure is a JETD_CHECK: see GroupSync.
class BlockFiles {
 public:
  explicit BlockFiles(std::string stream_folder);
  ~BlockFiles();
  BlockFiles(const BlockFiles&) = delete;
  BlockFiles& operator=(const BlockFiles&) = delete;

  [[nodiscard]] const std::string& folder() const { return folder_; }

  // Everything of the stream, however old: once after it was opened.
  void SyncAll();
  // All that was written since the last call of this or of SyncAll, by whatever blocks it is in.
  // REQUIRES: SyncAll before.
  void SyncNewest();
  // The names: blocks that came and went.
  void SyncFolder();

  // The block that is synced by name now, 0 if there is none, and its file. For tests.
  [[nodiscard]] uint64_t newest() const { return newest_; }
  [[nodiscard]] uint64_t newest_inode() const;

 private:
  [[nodiscard]] bool FolderChanged();
  void SyncFrom(uint64_t block);
  [[nodiscard]] std::string PathOf(uint64_t block) const;

  const std::string folder_;
  const std::string blocks_;  // <stream>/msgs
  int blocks_fd_ = -1;
  timespec blocks_time_{};  // modification time of the folder when it was last looked through
  uint64_t newest_ = 0;     // 0: no block yet
  int newest_fd_ = -1;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_BLOCK_FILES_H_
