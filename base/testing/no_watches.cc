// SPDX-License-Identifier: Apache-2.0
#include "base/testing/no_watches.h"

#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace {

std::atomic<bool> no_room{false};
std::atomic<int> refusals{0};

}  // namespace

// In the place of the C library's, as it is in the program itself.
extern "C" int epoll_ctl(int epoll_fd, int operation, int fd, epoll_event* event) noexcept {
  if (operation == EPOLL_CTL_ADD && no_room.load()) {
    ++refusals;
    errno = ENOSPC;
    return -1;
  }
  return static_cast<int>(syscall(SYS_epoll_ctl, epoll_fd, operation, fd, event));
}

namespace jetd {

NoWatches::NoWatches() {
  refusals.store(0);
  no_room.store(true);
}
NoWatches::~NoWatches() { no_room.store(false); }
int NoWatches::refused() const { return refusals.load(); }

}  // namespace jetd
