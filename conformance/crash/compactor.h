// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_CRASH_COMPACTOR_H_
#define JETD_CONFORMANCE_CRASH_COMPACTOR_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "etcdclient/client.h"

namespace jetd::conformance {

// A client that compacts the store again and again, a little behind what all watchers have, now
// and then waiting for the garbage to be gone.
//
// Thread rules: made, stopped and read by one thread; it has one of its own. `client` outlives it.
class Compactor {
 public:
  // `safe` tells, from any thread, up to which revision nobody needs history.
  Compactor(uint64_t seed, etcdclient::Client* client, std::function<int64_t()> safe);
  ~Compactor();
  Compactor(const Compactor&) = delete;
  Compactor& operator=(const Compactor&) = delete;

  void Stop();

  // After Stop: the newest revision that was answered, that was asked for, and how many were done.
  [[nodiscard]] int64_t answered() const { return answered_; }
  [[nodiscard]] int64_t asked() const { return asked_; }
  [[nodiscard]] size_t count() const { return count_; }
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }

 private:
  void Run();
  void CompactTo(int64_t revision);

  etcdclient::Client* const client_;
  const std::function<int64_t()> safe_;
  std::atomic<bool> stop_{false};
  // The thread's, until Stop.
  std::mt19937_64 random_;
  int64_t answered_ = 0;
  int64_t asked_ = 0;
  size_t count_ = 0;
  std::vector<std::string> violations_;
  std::thread thread_;
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_CRASH_COMPACTOR_H_
