// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_AUTO_COMPACTOR_H_
#define JETD_ETCDAPI_AUTO_COMPACTOR_H_

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "base/executor.h"
#include "base/types.h"
#include "etcdapi/config.h"

namespace jetd::etcdapi {

// Compacts without being asked, by etcd's rules (its package v3compactor):
//
//   periodic  The revision is noted ten times a period, or ten times an hour if that is shorter.
//             After a first whole period, and then once a period or hour, what was the revision a
//             period ago is compacted. A failure is tried again at the next note.
//   revision  Every five minutes all but the newest `revisions` revisions are compacted.
//
//   period 10 min:  minute  0  1  2 … 10 11        notes    r0 r1 r2 … r10
//                           |_______________|      minute 10: compact r0; minute 20: r10
//
// Thread rules: engine thread only. Nothing runs after its destruction.
class AutoCompactor {
 public:
  using RevisionFn = std::function<Revision()>;
  using DoneFn = std::function<void(absl::Status)>;
  using CompactFn = std::function<void(Revision, DoneFn)>;

  AutoCompactor(Executor* executor, const AutoCompaction& rule, RevisionFn newest,
                CompactFn compact);
  ~AutoCompactor();
  AutoCompactor(const AutoCompactor&) = delete;
  AutoCompactor& operator=(const AutoCompactor&) = delete;

  // Starts the clock; nothing happens with Mode::kOff.
  void Start();

 private:
  void Tick();
  // What is due now, if anything.
  [[nodiscard]] std::optional<Revision> DuePeriodic();
  [[nodiscard]] std::optional<Revision> DueByRevision() const;
  void Note();
  void OnDone(Revision revision, const absl::Status& status);

  Executor* const executor_;
  const AutoCompaction rule_;
  const RevisionFn newest_;
  const CompactFn compact_;
  const std::chrono::nanoseconds tick_;

  TimerId timer_ = 0;
  std::deque<Revision> notes_;  // periodic: oldest first
  MonoTime last_success_{0};
  bool first_period_over_ = false;
  Revision previous_;  // by revision: what was compacted last
  bool compacting_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_AUTO_COMPACTOR_H_
