// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_SIM_LOSS_WATCH_H_
#define JETD_CONFORMANCE_SIM_LOSS_WATCH_H_

#include <cstddef>
#include <memory>

#include "base/types.h"
#include "conformance/sim/run.h"
#include "conformance/sim/sim_member.h"
#include "watch/response.h"
#include "watch/watch_hub.h"

namespace jetd::conformance::sim {

// LossWatch is a client that watches every key on one member while the stream loses its tail. What
// is written from then on is in no ledger, so it knows only that revisions are dense.
//
// Ends before the run and the member do.
class LossWatch final : public watch::WatchHub::Sink {
 public:
  // From `start` on; 0: from now on.
  LossWatch(Run* run, SimMember* member, Revision start);
  LossWatch(const LossWatch&) = delete;
  LossWatch& operator=(const LossWatch&) = delete;

  // The transport takes all that waits.
  void Write();
  // The newest revision that it got, or began behind.
  [[nodiscard]] Revision seen() const { return seen_; }
  // Canceled.
  [[nodiscard]] bool over() const { return over_; }
  // Whoever leads knows of the loss by now: so nothing came behind `shown`, which its client had
  // been told of before, and nothing can come any more.
  void JudgeEnded(Revision shown) const;

  // watch::WatchHub::Sink.
  void Deliver(watch::Response response) override;

 private:
  Run* const run_;
  const SimMember* const member_;
  const Revision start_;
  Revision seen_;
  bool over_ = false;
  size_t unwritten_ = 0;
  std::unique_ptr<watch::WatchHub::Stream> stream_;
};

}  // namespace jetd::conformance::sim

#endif  // JETD_CONFORMANCE_SIM_LOSS_WATCH_H_
