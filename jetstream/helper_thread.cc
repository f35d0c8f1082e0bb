// SPDX-License-Identifier: Apache-2.0
#include "jetstream/helper_thread.h"

#include <pthread.h>

#include <utility>

namespace jetd::jetstream {

HelperThread::HelperThread(const char* name)
    : thread_([this, name] {
        pthread_setname_np(pthread_self(), name);
        Work();
      }) {}

HelperThread::~HelperThread() {
  {
    MutexLock lock(mutex_);
    stop_ = true;
  }
  changed_.NotifyAll();
  thread_.join();
}

void HelperThread::Run(std::function<void()> fn) {
  {
    MutexLock lock(mutex_);
    queue_.push_back(std::move(fn));
  }
  changed_.NotifyOne();
}

void HelperThread::Work() {
  while (true) {
    std::function<void()> fn;
    {
      MutexLock lock(mutex_);
      while (queue_.empty() && !stop_) changed_.Wait(mutex_);
      if (queue_.empty()) return;
      fn = std::move(queue_.front());
      queue_.pop_front();
    }
    fn();
  }
}

}  // namespace jetd::jetstream
