// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_TAG_H_
#define JETD_ETCDAPI_TAG_H_

#include <atomic>

namespace jetd::etcdapi {

// Tag is what the completion queue hands back when one gRPC operation is over. An object that may
// have several operations under way has one tag for each.
//
// Thread rules: Arm by whoever starts the operation, in the same breath; OnEvent on the queue's
// thread. What was written before Arm is visible in OnEvent (the pair of atomics says so to the
// compiler and to TSan, which cannot see gRPC's own locks).
class Tag {
 public:
  virtual ~Tag() = default;
  // `ok` as gRPC says: false for an accept when the server shuts down, for a read at its end, for
  // a write when the client is gone.
  virtual void OnEvent(bool ok) = 0;

  [[nodiscard]] void* Arm() {
    armed_.store(true, std::memory_order_release);
    return this;
  }
  // The queue's thread, with what it got.
  void Fire(bool ok) {
    armed_.exchange(false, std::memory_order_acq_rel);
    OnEvent(ok);
  }

 private:
  std::atomic<bool> armed_{false};
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_TAG_H_
