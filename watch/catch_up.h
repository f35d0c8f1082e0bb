// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_WATCH_CATCH_UP_H_
#define JETD_WATCH_CATCH_UP_H_

#include <cstddef>
#include <set>
#include <utility>

#include "base/executor.h"
#include "base/types.h"
#include "watch/watcher.h"

namespace jetd::watch {

class Feed;

// CatchUp brings watchers that are behind to the newest revision, in steps. A step reads one piece
// of history and gives it to every ready watcher that wants something of it:
//
//   ready at 10, 12, 5000; newest 6000; 1000 revisions a step
//   step 1 reads 10 … 1009 for the first two, which then stand at 1010
//   step 2 reads 5000 … 5999 for the third: the next position gets its turn, so one who starts
//          near the end does not wait for one who reads everything
//   step 3 reads 1010 … 2009, and so on
//
// One step a round of the engine. A step that handed out many events makes the next one smaller.
// A watcher whose position was compacted away is canceled, as etcd does: below the compact
// revision, not at it.
//
// Thread rules: engine thread only.
class CatchUp {
 public:
  CatchUp(Feed* feed, size_t step_revisions)
      : feed_(feed), max_revisions_(step_revisions), step_revisions_(step_revisions) {}
  ~CatchUp();
  CatchUp(const CatchUp&) = delete;
  CatchUp& operator=(const CatchUp&) = delete;

  // The watcher (state kReady, in its node's `behind`) waits for its turn.
  void Add(Watcher* watcher);
  void Remove(Watcher* watcher);

 private:
  void Schedule();
  void Step();
  void CancelCompacted();
  // Reads history from `from` on into the watchers; the first revision not read.
  [[nodiscard]] Revision Read(Revision from);
  // Hands over what was read, `from` up to below `next`, and moves the watchers on.
  void Deliver(Revision from, Revision next);

  using Entry = std::pair<Revision, Watcher*>;  // by min_revision
  // Where that is the same: null, then in the order of streams and ids, wherever watchers lie in
  // memory.
  struct Before {
    bool operator()(const Entry& a, const Entry& b) const;
  };

  Feed* const feed_;
  std::set<Entry, Before> ready_;
  Revision turn_;  // the next step starts above this
  const size_t max_revisions_;
  size_t step_revisions_;
  TimerId timer_ = 0;
};

}  // namespace jetd::watch

#endif  // JETD_WATCH_CATCH_UP_H_
