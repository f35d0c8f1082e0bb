// SPDX-License-Identifier: Apache-2.0
#include "conformance/power/mount.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/strings.h"
#include "conformance/power/fuse_calls.h"

namespace jetd::conformance::power {
namespace {

using std::chrono::steady_clock;

constexpr char kDevice[] = "/dev/fuse";

absl::Status NoFuse(const std::string& folder, std::string_view why) {
  return MakeStatus(absl::StatusCode::kNotFound, "no FUSE file system can be mounted on ", folder,
                    " here: ", why);
}

}  // namespace

Mount::Mount(Options options)
    : options_(std::move(options)), disk_(options_.disk), random_(options_.seed) {}

absl::StatusOr<std::unique_ptr<Mount>> Mount::Make(Options options) {
  std::unique_ptr<Mount> mount(new Mount(std::move(options)));
  if (access(kDevice, R_OK | W_OK) != 0) {
    return NoFuse(mount->options_.folder, Cat(kDevice, ": ", std::strerror(errno)));
  }
  if (absl::Status begun = mount->Begin(); !begun.ok()) return begun;
  return mount;
}

Mount::~Mount() {
  Freeze();
  Release();
  End();
}

absl::Status Mount::Begin() {
  const fuse_lowlevel_ops calls = FuseCalls::Table();
  std::string arguments[] = {"power", "-o", "fsname=power_cut"};
  char* argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(), nullptr};
  fuse_args args = FUSE_ARGS_INIT(3, argv);
  session_ = fuse_session_new(&args, &calls, sizeof(calls), this);
  fuse_opt_free_args(&args);
  JETD_CHECK(session_ != nullptr) << "libfuse takes no session";
  if (fuse_session_mount(session_, options_.folder.c_str()) != 0) {
    fuse_session_destroy(std::exchange(session_, nullptr));
    return NoFuse(options_.folder, "the kernel refuses it (see the line above)");
  }
  stop_fd_ = eventfd(0, EFD_CLOEXEC);
  JETD_CHECK(stop_fd_ >= 0) << "eventfd: " << std::strerror(errno);
  {
    MutexLock lock(mutex_);
    state_ = State::kServing;
    ending_ = false;
  }
  server_ = std::thread([this] { Serve(); });
  syncer_ = std::thread([this] { SyncLate(); });
  return absl::OkStatus();
}

void Mount::End() {
  if (session_ == nullptr) return;
  {
    MutexLock lock(mutex_);
    ending_ = true;
    changed_.NotifyAll();
  }
  const uint64_t one = 1;
  JETD_CHECK(write(stop_fd_, &one, sizeof(one)) == sizeof(one)) << std::strerror(errno);
  server_.join();
  syncer_.join();
  close(stop_fd_);
  fuse_session_unmount(session_);
  fuse_session_destroy(std::exchange(session_, nullptr));
  MutexLock lock(mutex_);
  lists_.clear();
}

// Thread server_.
void Mount::Serve() {
  fuse_buf buffer{};
  while (fuse_session_exited(session_) == 0) {
    pollfd both[2] = {{.fd = fuse_session_fd(session_), .events = POLLIN, .revents = 0},
                      {.fd = stop_fd_, .events = POLLIN, .revents = 0}};
    if (poll(both, 2, -1) < 0 && errno == EINTR) continue;
    if (both[1].revents != 0) break;
    const int got = fuse_session_receive_buf(session_, &buffer);
    if (got == -EINTR) continue;
    if (got <= 0) break;
    fuse_session_process_buf(session_, &buffer);
  }
  std::free(buffer.mem);
}

// Thread syncer_.
void Mount::SyncLate() {
  MutexLock lock(mutex_);
  while (!ending_) {
    if (late_.empty() || state_ != State::kServing) {
      changed_.Wait(mutex_);
      continue;
    }
    if (steady_clock::now() < late_.front().due) {
      (void)changed_.WaitUntil(mutex_, late_.front().due);
      continue;
    }
    const LateSync sync = late_.front();
    late_.pop_front();
    if (disk_.Look(sync.node).kind == Disk::Kind::kFolder) {
      disk_.SyncFolder(sync.node, sync.until);
    } else {
      disk_.SyncFile(sync.node, sync.until);
    }
    fuse_reply_err(sync.request, 0);
  }
}

bool Mount::Admit(fuse_req* request) {
  if (state_ == State::kServing) return true;
  if (state_ == State::kFrozen) {
    held_.push_back(request);
  } else {
    fuse_reply_err(request, EIO);
  }
  return false;
}

bool Mount::AdmitOp(fuse_req* request, const FileEvent& event) {
  if (!Admit(request)) return false;
  if (freeze_at_ != nullptr && freeze_at_(event)) {
    freeze_at_ = nullptr;
    state_ = State::kFrozen;
    changed_.NotifyAll();
    if (random_() % 2 == 0) {
      held_.push_back(request);
      return false;
    }
  }
  if (options_.on_event != nullptr) options_.on_event(event);
  if (fail_at_ != nullptr && fail_at_(event)) {
    ++failed_;
    if (--fail_times_ == 0) fail_at_ = nullptr;
    if (event.op == FileOp::kSync) {
      fail_this_ = true;
      return true;
    }
    fuse_reply_err(request, EIO);
    return false;
  }
  return true;
}

void Mount::Sync(fuse_req* request, Disk::Node node, FileOp op) {
  if (!AdmitOp(request, {op, disk_.NameOf(node)})) return;
  const uint64_t until = disk_.newest();
  if (std::exchange(fail_this_, false)) {
    disk_.FailSync(node, until);
    Answer(request, [&] { fuse_reply_err(request, EIO); });
    return;
  }
  if (options_.no_sync) {
    Answer(request, [&] { fuse_reply_err(request, 0); });
    return;
  }
  auto takes = std::chrono::microseconds(0);
  if (const auto longest = options_.longest_sync.count(); longest > 0) {
    takes = std::chrono::microseconds(random_() % static_cast<uint64_t>(longest));
  }
  late_.push_back(
      {.due = steady_clock::now() + takes, .request = request, .node = node, .until = until});
  changed_.NotifyAll();
}

void Mount::Freeze() {
  MutexLock lock(mutex_);
  if (state_ == State::kServing) state_ = State::kFrozen;
  freeze_at_ = nullptr;
  changed_.NotifyAll();
}

void Mount::Release() {
  MutexLock lock(mutex_);
  state_ = State::kReleased;
  fail_at_ = nullptr;
  for (fuse_req* const request : held_) fuse_reply_err(request, EIO);
  held_.clear();
  for (const LateSync& sync : late_) fuse_reply_err(sync.request, EIO);
  late_.clear();
}

absl::Status Mount::Cut(uint64_t seed) {
  End();
  {
    MutexLock lock(mutex_);
    JETD_CHECK(state_ == State::kReleased) << "a cut while programs may still write";
    disk_.Cut(seed);
  }
  return Begin();
}

void Mount::FreezeAt(Matches matches) {
  MutexLock lock(mutex_);
  freeze_at_ = std::move(matches);
}

bool Mount::WaitFrozen(std::chrono::milliseconds patience) {
  const auto deadline = steady_clock::now() + patience;
  MutexLock lock(mutex_);
  while (state_ == State::kServing) {
    if (!changed_.WaitUntil(mutex_, deadline)) break;
  }
  return state_ != State::kServing;
}

void Mount::FailAt(Matches matches, int times) {
  MutexLock lock(mutex_);
  fail_at_ = std::move(matches);
  fail_times_ = times;
}

int Mount::failed() const {
  MutexLock lock(mutex_);
  return failed_;
}

}  // namespace jetd::conformance::power
