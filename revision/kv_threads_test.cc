// SPDX-License-Identifier: Apache-2.0
// Blocks in the hands of other threads while the engine thread's store moves on. For TSan.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "revision/store.h"

namespace jetd::revision {
namespace {

// What gRPC does with an answer: reads the bytes and drops the references, later and elsewhere.
class Sender {
 public:
  void Send(std::vector<KvRef> kvs) {
    MutexLock lock(mutex_);
    queue_.push_back(std::move(kvs));
  }
  // Until Stop, and what is left then.
  void Run() {
    for (bool last = false; !last;) {
      last = stopped_;
      std::vector<std::vector<KvRef>> taken;
      {
        MutexLock lock(mutex_);
        taken.swap(queue_);
      }
      for (const std::vector<KvRef>& kvs : taken) {
        for (const KvRef& kv : kvs) {
          bytes_ += kv->encoded().size() + kv->key().size() + kv->value().size();
          wrong_ += kv->tombstone() || kv->value() != std::to_string(kv->version()) ? 1 : 0;
        }
      }
    }
  }
  void Stop() { stopped_ = true; }
  size_t bytes() const { return bytes_; }
  size_t wrong() const { return wrong_; }

 private:
  Mutex mutex_;
  std::vector<std::vector<KvRef>> queue_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> stopped_ = false;
  size_t bytes_ = 0;
  size_t wrong_ = 0;
};

TEST(KvThreadsTest, AnswersOutliveTheirVersionsOnOtherThreads) {
  Store store;
  Sender sender;
  std::thread thread([&sender] { sender.Run(); });
  for (int i = 0; i < 2000; ++i) {
    const std::string key(1, static_cast<char>('a' + i % 10));
    const KvRef before = store.Get(key, Store::View::kNewest);
    const int64_t version = before ? before->version() + 1 : 1;
    store.Begin();
    store.Put(key, std::to_string(version), LeaseId(), StreamSeq(1));
    store.End();
    auto answer = store.Range({.keys = {"a", "z"}}, Store::View::kNewest);
    ASSERT_TRUE(answer.ok());
    sender.Send(std::move(answer->kvs));
    if (i % 3 == 0) {
      store.Rollback();
      continue;
    }
    store.CommitOldest();
    if (i % 7 == 0) store.Compact(store.committed());
    if (i % 11 == 0) {
      store.Begin();
      store.Delete({"a", "d"}, StreamSeq(1));
      if (store.End()) store.CommitOldest();
    }
  }
  sender.Stop();
  thread.join();
  EXPECT_GT(sender.bytes(), 0U);
  EXPECT_EQ(sender.wrong(), 0U);
}

}  // namespace
}  // namespace jetd::revision
