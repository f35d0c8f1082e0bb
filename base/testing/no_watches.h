// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BASE_TESTING_NO_WATCHES_H_
#define JETD_BASE_TESTING_NO_WATCHES_H_

namespace jetd {

// From its making to its end the system has no room to watch one more descriptor
// (fs.epoll.max_user_watches) for the process that links this: epoll_ctl adds none, and says
// ENOSPC. What is watched by then stays so. One at a time; any thread.
class NoWatches {
 public:
  NoWatches();
  ~NoWatches();
  NoWatches(const NoWatches&) = delete;
  NoWatches& operator=(const NoWatches&) = delete;

  // How many were to be watched, in vain.
  [[nodiscard]] int refused() const;
};

}  // namespace jetd

#endif  // JETD_BASE_TESTING_NO_WATCHES_H_
