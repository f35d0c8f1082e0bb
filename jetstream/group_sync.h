// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_GROUP_SYNC_H_
#define JETD_JETSTREAM_GROUP_SYNC_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/duration_histogram.h"
#include "base/loop.h"
#include "jetstream/block_files.h"
#include "jetstream/durability.h"
#include "jetstream/helper_thread.h"

namespace jetd::jetstream {

// Group commit on the files of a nats-server on this host: what it has answered, it has written, so
// one fdatasync of its newest block files makes all answers before it safe. The server itself syncs
// every two minutes.
//
// A deletion is written as a tombstone into the newest block, and a block that holds nothing any
// more is unlinked; both before the answer. So the same sync, with the folder, covers deletions.
//
// The syncs run one after another on a thread of its own; calls and callbacks are the engine
// thread's. An error of a sync ends the process: the kernel may have dropped what it could not
// write, so asking again would lie.
class GroupSync : public Durability {
 public:
  // `stream_folder` as EmbeddedServer::StreamFolder tells it; it need not be there before
  // SyncStream. `loop` outlives this.
  GroupSync(Loop* loop, std::string stream_folder);
  ~GroupSync() override;

  // FailedPrecondition if there are records in the folder: their server lost sight of the stream.
  [[nodiscard]] absl::Status MayCreate() const override;
  // The folder, which a power cut may have left with half a configuration: nats-server skips such a
  // stream at its start, and does not write the configuration of a new one over it, so the one
  // after would skip the new one too. REQUIRES: MayCreate.
  [[nodiscard]] absl::Status RemoveRemains() override;
  void SyncStream(SafeFn safe) override;
  void SyncAppends(SafeFn safe) override;
  void SyncDeletes(SafeFn safe) override;
  [[nodiscard]] uint64_t NewestBlock() const override { return newest_block_; }
  [[nodiscard]] std::string Caveat() const override { return caveat_; }
  // How long syncs took.
  [[nodiscard]] const DurationHistogram& syncs() const { return syncs_; }

 private:
  void Run(std::function<void(BlockFiles&)> sync, SafeFn safe);

  Loop* const loop_;
  // Of the helper thread, while it runs.
  std::unique_ptr<BlockFiles> files_;
  std::string caveat_;
  uint64_t newest_block_ = 0;
  DurationHistogram syncs_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  HelperThread helper_{"sync"};
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_GROUP_SYNC_H_
