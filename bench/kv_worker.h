// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BENCH_KV_WORKER_H_
#define JETD_BENCH_KV_WORKER_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "bench/driver.h"
#include "bench/key_space.h"
#include "etcdclient/caller.h"

namespace jetd::bench {

// What workers of a phase share. Under the driver's lock, like the workers.
struct KvWork {
  etcdclient::Caller* caller = nullptr;
  const ValueMaker* values = nullptr;
  KeySpace* keys = nullptr;
  size_t value_bytes = 1024;
  // Of 100 operations.
  int updates = 0;
  int gets = 0;
  int creates = 0;
  int deletes = 0;
  // Told of every update that was answered with success.
  std::function<void(int64_t index)> on_updated{};
};

// Creates, updates, deletes and gets single keys as kube-apiserver does, and checks every answer.
// It keeps to the keys whose number is `id` modulo `count`, so that no two workers ever meet: a
// compare that fails is a wrong answer.
class KvWorker final : public Worker {
 public:
  KvWorker(KvWork* work, int id, int count);

  [[nodiscard]] bool Start(int64_t due_ns) override;
  [[nodiscard]] std::optional<Outcome> Finish(const absl::Status& status) override;
  void Cancel() override;

 private:
  enum class Op { kCreate, kUpdate, kDelete, kGet };

  [[nodiscard]] std::optional<Op> Choose();
  void StartCreate(int64_t due_ns);
  void StartChange(int64_t due_ns);  // update or delete
  [[nodiscard]] std::string CheckGet();
  [[nodiscard]] std::string CheckTxn();

  KvWork* const work_;
  const int64_t step_;
  int64_t fresh_;  // the next number of this worker's that nobody has used
  std::vector<int64_t> live_;
  std::minstd_rand random_;
  Op op_ = Op::kGet;
  size_t place_ = 0;   // in live_
  int64_t index_ = 0;  // of the key
  std::string name_;
  std::unique_ptr<etcdclient::ReusableCall<etcdclient::pb::TxnRequest>> txn_;
  std::unique_ptr<etcdclient::ReusableCall<etcdclient::pb::RangeRequest>> get_;
};

}  // namespace jetd::bench

#endif  // JETD_BENCH_KV_WORKER_H_
