// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_DIFFERENTIAL_GENERATOR_H_
#define JETD_CONFORMANCE_DIFFERENTIAL_GENERATOR_H_

#include <cstdint>
#include <deque>

#include "conformance/differential/op_maker.h"
#include "conformance/differential/step.h"
#include "conformance/differential/txn_maker.h"

namespace jetd::conformance::differential {

// Generator makes the steps of one run from a seed. The same seed gives the same steps as long as
// the answers are the same, since what it makes depends on the model. It is tuned so that more than
// 70 % of its steps change the store. One thread.
class Generator {
 public:
  Generator(uint64_t seed, const Model* model);

  [[nodiscard]] Step Next();

  // Of every fourth seed, keys hang on leases whose ids the servers chose; HashKV then differs.
  [[nodiscard]] bool hashes_are_comparable() const;

 private:
  void Add(Call call) { queue_.push_back({.call = std::move(call)}); }
  void AddSettled(Call call) { queue_.push_back({.call = std::move(call), .settle_first = true}); }
  // Each puts one or more steps into the queue, or none if the case does not arise.
  void AddWrite();
  void AddRead();
  void AddLeaseCall();
  void AddExpiry();
  void AddCompaction();
  void AddWatchCall();
  void AddWatchCreate();
  void AddWatchCancel();
  void AddProgress();
  void AddNotification();
  void AddFragments();
  void AddAlarm();
  void AddUnderAlarm();
  void AddManyKeys();
  void AddKill();
  void AddMaintenance();
  [[nodiscard]] int64_t NewLeaseId() { return next_lease_ += random_.Between(1, 1000); }

  const uint64_t seed_;
  const Model& model_;
  Random random_;
  Keyspace keys_;
  OpMaker ops_;
  TxnMaker txns_;
  std::deque<Step> queue_;
  int64_t next_lease_ = 1000;
  int64_t next_generated_;
};

}  // namespace jetd::conformance::differential

#endif  // JETD_CONFORMANCE_DIFFERENTIAL_GENERATOR_H_
