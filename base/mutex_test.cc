// SPDX-License-Identifier: Apache-2.0
#include "base/mutex.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace jetd {
namespace {

class Mailbox {
 public:
  void Put(int item) {
    MutexLock lock(mutex_);
    items_.push_back(item);
    changed_.NotifyOne();
  }

  int Take() {
    MutexLock lock(mutex_);
    while (items_.empty()) changed_.Wait(mutex_);
    const int item = items_.back();
    items_.pop_back();
    return item;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::vector<int> items_ ABSL_GUARDED_BY(mutex_);
};

// Whether a thread of its own finds the mutex taken.
bool LockedByAnotherThread(Mutex& mutex) {
  bool taken = true;
  std::thread other([&mutex, &taken] {
    if (mutex.TryLock()) {
      taken = false;
      mutex.Unlock();
    }
  });
  other.join();
  return taken;
}

TEST(MutexTest, CondVarHandsItemsOver) {
  constexpr int kThreads = 4;
  constexpr int kItems = 1000;
  Mailbox mailbox;
  std::vector<std::thread> producers;
  for (int t = 0; t < kThreads; ++t) {
    producers.emplace_back([&mailbox] {
      for (int i = 1; i <= kItems; ++i) mailbox.Put(i);
    });
  }
  long sum = 0;
  for (int i = 0; i < kThreads * kItems; ++i) sum += mailbox.Take();
  for (std::thread& producer : producers) producer.join();
  EXPECT_EQ(sum, static_cast<long>(kThreads) * kItems * (kItems + 1) / 2);
}

TEST(MutexTest, TryLockFailsWhileAnotherThreadHoldsIt) {
  Mutex mutex;
  mutex.Lock();
  const bool locked_by_other = LockedByAnotherThread(mutex);
  mutex.Unlock();
  EXPECT_TRUE(locked_by_other);
  EXPECT_FALSE(LockedByAnotherThread(mutex));
}

TEST(MutexTest, WaitUntilReportsThatTheDeadlinePassedAndKeepsTheLock) {
  Mutex mutex;
  CondVar changed;
  MutexLock lock(mutex);
  // Nobody notifies; a spurious wake-up returns true, so wait until the deadline is really over.
  const auto deadline = std::chrono::steady_clock::now();
  while (changed.WaitUntil(mutex, deadline)) {
  }
  EXPECT_TRUE(LockedByAnotherThread(mutex));
}

}  // namespace
}  // namespace jetd
