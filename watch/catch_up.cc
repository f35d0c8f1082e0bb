// SPDX-License-Identifier: Apache-2.0
#include "watch/catch_up.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "base/limits.h"
#include "watch/feed.h"
#include "watch/watch_stream.h"

namespace jetd::watch {

CatchUp::~CatchUp() {
  if (timer_ != 0) feed_->executor().Cancel(timer_);
}

bool CatchUp::Before::operator()(const Entry& a, const Entry& b) const {
  if (a.first != b.first) return a.first < b.first;
  if (a.second == b.second || b.second == nullptr) return false;
  if (a.second == nullptr) return true;
  const uint64_t one = a.second->stream->number();
  const uint64_t other = b.second->stream->number();
  return one != other ? one < other : a.second->id < b.second->id;
}

void CatchUp::Add(Watcher* watcher) {
  ready_.emplace(watcher->min_revision, watcher);
  Schedule();
}

void CatchUp::Remove(Watcher* watcher) { ready_.erase({watcher->min_revision, watcher}); }

void CatchUp::Schedule() {
  if (timer_ != 0 || ready_.empty()) return;
  // A timer and not Defer: sockets get their turn between two steps.
  timer_ = feed_->executor().RunAfter(std::chrono::nanoseconds(0), [this] {
    timer_ = 0;
    Step();
  });
}

void CatchUp::CancelCompacted() {
  const Revision compacted = feed_->store().compacted();
  while (!ready_.empty() && ready_.begin()->first < compacted) {
    Watcher* watcher = ready_.begin()->second;
    watcher->stream->CancelCompacted(watcher, compacted);
  }
}

Revision CatchUp::Read(Revision from) {
  size_t given = 0;
  const absl::StatusOr<Revision> next =
      feed_->store().History(from, step_revisions_, [this, from, &given](revision::Change change) {
        const Revision revision = change.kv->mod_revision();
        feed_->index().Stab(change.kv->key(), [&](IntervalIndex::Node& node) {
          for (size_t i = 0; i < node.behind.size();) {
            Watcher* watcher = node.behind[i];
            // Those before `from` have their own turn.
            if (watcher->min_revision >= from && watcher->min_revision <= revision) {
              feed_->Collect(watcher, &change);
              ++given;
            }
            // One that gets blocked leaves the list, and the last takes its place.
            if (i < node.behind.size() && node.behind[i] == watcher) ++i;
          }
        });
      });
  JETD_CHECK(next.ok()) << "history from " << from << ", compacted " << feed_->store().compacted()
                        << ": " << next.status();
  if (given > limits::kWatchCatchUpEvents) {
    step_revisions_ = std::max<size_t>(step_revisions_ / 2, 1);
  } else if (given < limits::kWatchCatchUpEvents / 4) {
    step_revisions_ = std::min(step_revisions_ * 2, max_revisions_);
  }
  return *next;
}

void CatchUp::Deliver(Revision from, Revision next) {
  const bool newest = next > feed_->store().committed();
  std::vector<Watcher*> served;
  for (auto it = ready_.lower_bound({from, nullptr}); it != ready_.end(); ++it) {
    if (it->first >= next) break;
    served.push_back(it->second);
  }
  for (Watcher* watcher : served) {
    if (!feed_->Emit(watcher)) continue;  // blocked: not ready any more
    Remove(watcher);
    watcher->min_revision = next;
    if (newest) {
      feed_->MoveToSynced(watcher);
    } else {
      ready_.emplace(next, watcher);
    }
  }
}

void CatchUp::Step() {
  CancelCompacted();
  // Whose turn it is: the first position above the one that the last step reached.
  auto first = ready_.lower_bound({turn_.Next(), nullptr});
  if (first == ready_.end()) first = ready_.begin();
  if (first != ready_.end()) {
    const Revision from = first->first;
    turn_ = Read(from);
    Deliver(from, turn_);
  }
  feed_->Flush();
  Schedule();
}

}  // namespace jetd::watch
