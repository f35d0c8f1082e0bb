// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_LOOKOUT_H_
#define JETD_ETCDAPI_LOOKOUT_H_

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

#include "absl/status/status.h"
#include "base/check.h"
#include "base/mutex.h"
#include "revision/committer.h"

namespace jetd::etcdapi {

// Wakes the main thread; the one thing that a signal handler and other threads may touch.
class Alarm {
 public:
  Alarm() : fd_(eventfd(0, EFD_CLOEXEC)) { JETD_CHECK(fd_ >= 0) << "eventfd"; }
  void Ring() const {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(fd_, &one, sizeof(one));
  }
  // Waits in poll, not in read: under ThreadSanitizer a signal's handler runs only at certain
  // calls, of which a blocking read is none.
  void Wait() const {
    pollfd readable{.fd = fd_, .events = POLLIN, .revents = 0};
    while (poll(&readable, 1, -1) < 0 && errno == EINTR) {
    }
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = read(fd_, &count, sizeof(count));
  }

 private:
  const int fd_;
};

// Tells the main thread what the engine's thread learns.
class Lookout : public revision::Committer::Listener {
 public:
  explicit Lookout(const Alarm* alarm) : alarm_(alarm) {}

  // Engine thread.
  void OnLeading(Term /*term*/) override { OnReady(); }
  void OnFollowing(Term /*term*/) override { OnReady(); }
  // That it steps down is no end: it goes on, and follows who leads now.
  void Fatal(const absl::Status& why) {
    {
      MutexLock lock(mutex_);
      if (fatal_.ok()) fatal_ = why;
    }
    alarm_->Ring();
  }

  // Any thread. The store is there to be served.
  [[nodiscard]] bool ready() const { return ready_.load(); }
  [[nodiscard]] absl::Status fatal() const {
    MutexLock lock(mutex_);
    return fatal_;
  }

 private:
  void OnReady() {
    ready_.store(true);
    alarm_->Ring();
  }

  const Alarm* const alarm_;
  std::atomic<bool> ready_{false};
  mutable Mutex mutex_;
  absl::Status fatal_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_LOOKOUT_H_
