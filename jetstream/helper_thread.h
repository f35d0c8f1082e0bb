// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_HELPER_THREAD_H_
#define JETD_JETSTREAM_HELPER_THREAD_H_

#include <deque>
#include <functional>
#include <thread>

#include "base/mutex.h"

namespace jetd::jetstream {

// Runs what blocks (a connect, an fsync) away from the engine thread: one thread, one function
// after another, in the order given. Any thread may call Run. The destructor waits until all that
// was given has run. `name`, of at most 15 characters, is what tools that look at threads show.
class HelperThread {
 public:
  explicit HelperThread(const char* name);
  ~HelperThread();
  HelperThread(const HelperThread&) = delete;
  HelperThread& operator=(const HelperThread&) = delete;

  void Run(std::function<void()> fn);

 private:
  void Work();

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_HELPER_THREAD_H_
