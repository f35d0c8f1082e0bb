// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_POWER_MOUNT_H_
#define JETD_CONFORMANCE_POWER_MOUNT_H_

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "conformance/power/disk.h"

struct fuse_session;
struct fuse_req;

namespace jetd::conformance::power {

// What a program does to the file system, as triggers and faults name it.
enum class FileOp { kCreate, kWrite, kSync, kSyncFolder, kRename, kRemove };

struct FileEvent {
  FileOp op = FileOp::kWrite;
  // How the file is called (behind a rename), or the folder that is synced, without the path.
  std::string name;
};

// Mount is a Disk behind a folder, by FUSE, and the power switch of it:
//
//   auto mount = Mount::Make({.folder = folder});
//   …programs work in the folder…
//   mount->Freeze();      the instant: nothing that is asked for from now on happens or is answered
//   …the programs are sent SIGKILL…
//   mount->Release();     what they wait for ends with EIO, so that they can end
//   …they have ended…
//   mount->Cut(seed);     a new mount of what survived
//
// Syncs take a moment, as on a disk, and cover what was written when they were asked for. Nothing
// is kept in the kernel but names and attributes: each write comes here before it returns.
//
// Who calls syncfs() on a FUSE file system is told that all is well and nothing is done: Linux does
// not pass it on.
//
// Thread rules: one thread for all but Freeze, which any may call; `on_event` and what a trigger
// calls run on a thread of this object under its lock and must not call it.
class Mount {
 public:
  struct Options {
    std::string folder;  // is there, empty
    Disk::Options disk;
    std::chrono::microseconds longest_sync{1500};
    uint64_t seed = 1;
    // Every sync succeeds and does nothing.
    bool no_sync = false;
    // Told of everything that happens.
    std::function<void(const FileEvent&)> on_event{};
  };
  using Matches = std::function<bool(const FileEvent&)>;

  // NotFound, with one line for people, where no FUSE file system can be mounted.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Mount>> Make(Options options);
  ~Mount();
  Mount(const Mount&) = delete;
  Mount& operator=(const Mount&) = delete;

  void Freeze();
  void Release();
  // REQUIRES: Release, and nobody uses the folder.
  [[nodiscard]] absl::Status Cut(uint64_t seed);

  // Freezes at the next operation that matches, before it happens or, by chance, behind it.
  void FreezeAt(Matches matches);
  // Whether it is frozen, now or within `patience`.
  [[nodiscard]] bool WaitFrozen(std::chrono::milliseconds patience);

  // The next `times` operations that match fail with EIO; see Disk::FailSync.
  void FailAt(Matches matches, int times);
  // How many have.
  [[nodiscard]] int failed() const;

 private:
  friend class FuseCalls;
  enum class State { kServing, kFrozen, kReleased };
  struct LateSync {
    std::chrono::steady_clock::time_point due;
    fuse_req* request;
    Disk::Node node;
    uint64_t until;
  };

  explicit Mount(Options options);
  [[nodiscard]] absl::Status Begin();
  void End();
  void Serve();
  void SyncLate();
  // Whether the request shall be carried out; if not, it is held or has been answered.
  bool Admit(fuse_req* request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The same for an operation that triggers and faults know.
  bool AdmitOp(fuse_req* request, const FileEvent& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Answers an operation that was carried out, unless the power was cut right behind it.
  template <typename Reply>
  void Answer(fuse_req* request, const Reply& reply) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (state_ == State::kFrozen) {
      held_.push_back(request);
    } else {
      reply();
    }
  }
  void Sync(fuse_req* request, Disk::Node node, FileOp op) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  mutable Mutex mutex_;
  CondVar changed_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kServing;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  Disk disk_ ABSL_GUARDED_BY(mutex_);
  std::vector<fuse_req*> held_ ABSL_GUARDED_BY(mutex_);
  std::deque<LateSync> late_ ABSL_GUARDED_BY(mutex_);
  Matches freeze_at_ ABSL_GUARDED_BY(mutex_);
  Matches fail_at_ ABSL_GUARDED_BY(mutex_);
  int fail_times_ ABSL_GUARDED_BY(mutex_) = 0;
  int failed_ ABSL_GUARDED_BY(mutex_) = 0;
  bool fail_this_ ABSL_GUARDED_BY(mutex_) = false;  // the sync under way
  std::mt19937_64 random_ ABSL_GUARDED_BY(mutex_);
  // What readers of a folder were told, as it was when they began.
  std::map<uint64_t, std::vector<std::pair<std::string, Disk::Node>>> lists_
      ABSL_GUARDED_BY(mutex_);
  uint64_t last_list_ ABSL_GUARDED_BY(mutex_) = 0;

  // Of one mount, between Begin and End.
  fuse_session* session_ = nullptr;
  int stop_fd_ = -1;
  std::thread server_, syncer_;
};

}  // namespace jetd::conformance::power

#endif  // JETD_CONFORMANCE_POWER_MOUNT_H_
