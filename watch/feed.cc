// SPDX-License-Identifier: Apache-2.0
#include "watch/feed.h"

#include <chrono>
#include <utility>

#include "base/check.h"
#include "watch/watch_stream.h"

namespace jetd::watch {

using revision::Change;

Feed::Feed(Executor* executor, const revision::Store* store, const WatchHub::Options& options)
    : executor_(executor),
      store_(store),
      options_(options),
      catch_up_(this, options.catch_up_revisions) {}

void Feed::Enter(Watcher* watcher, Watcher::State state) {
  watcher->state = state;
  const bool synced = state == Watcher::State::kSynced;
  if (synced || state == Watcher::State::kReady) {
    std::vector<Watcher*>& list = synced ? watcher->node->synced : watcher->node->behind;
    watcher->list_slot = static_cast<uint32_t>(list.size());
    list.push_back(watcher);
  }
  if (state == Watcher::State::kReady) catch_up_.Add(watcher);
  if (!synced) {
    watcher->stream->ChangeBehind(+1);
    ++stats_.unsynced;
  }
}

void Feed::Leave(Watcher* watcher) {
  if (watcher->list_slot != Watcher::kNowhere) {
    const bool synced = watcher->state == Watcher::State::kSynced;
    std::vector<Watcher*>& list = synced ? watcher->node->synced : watcher->node->behind;
    list[watcher->list_slot] = list.back();
    list[watcher->list_slot]->list_slot = watcher->list_slot;
    list.pop_back();
    watcher->list_slot = Watcher::kNowhere;
  }
  if (watcher->state == Watcher::State::kReady) catch_up_.Remove(watcher);
  if (watcher->state != Watcher::State::kSynced) {
    watcher->stream->ChangeBehind(-1);
    --stats_.unsynced;
  }
}

void Feed::CountTime() {
  const MonoTime now = executor_->Now();
  const std::chrono::duration<double> passed = now - counted_until_;
  stats_.watch_seconds += static_cast<double>(stats_.watchers) * passed.count();
  counted_until_ = now;
}

void Feed::Add(Watcher* watcher, const revision::KeyRange& range) {
  watcher->node = index_.Acquire(range);
  CountTime();
  ++stats_.watchers;
  const Revision start = watcher->start_revision;
  if (start == Revision{0} || start > current()) {
    watcher->min_revision = std::max(start, current().Next());
    Enter(watcher, Watcher::State::kSynced);
    return;
  }
  watcher->min_revision = start;
  Enter(watcher, watcher->stream->full() ? Watcher::State::kBlocked : Watcher::State::kReady);
}

void Feed::Remove(Watcher* watcher) {
  Leave(watcher);
  DropCollected(watcher);
  index_.Release(std::exchange(watcher->node, nullptr));
  CountTime();
  --stats_.watchers;
}

void Feed::Unblock(Watcher* watcher) {
  Leave(watcher);
  Enter(watcher, Watcher::State::kReady);
}

void Feed::MoveBehind(Watcher* watcher, Revision from) {
  Leave(watcher);
  DropCollected(watcher);
  watcher->min_revision = std::max(from, watcher->min_revision);
  Enter(watcher, watcher->stream->full() ? Watcher::State::kBlocked : Watcher::State::kReady);
}

void Feed::MoveToSynced(Watcher* watcher) {
  Leave(watcher);
  Enter(watcher, Watcher::State::kSynced);
}

void Feed::DropCollected(Watcher* watcher) {
  watcher->events.clear();
  held_bytes_ -= static_cast<ptrdiff_t>(std::exchange(watcher->event_bytes, 0));
  if (watcher->pending_slot == Watcher::kNowhere) return;
  pending_[watcher->pending_slot] = nullptr;
  watcher->pending_slot = Watcher::kNowhere;
}

size_t Feed::BatchBytes(const Watcher& watcher) const {
  const bool plenty = held_bytes_ < static_cast<ptrdiff_t>(options_.plenty_bytes);
  return watcher.state == Watcher::State::kReady && plenty ? options_.catch_up_batch_bytes
                                                           : options_.batch_bytes;
}

bool Feed::Emit(Watcher* watcher) {
  if (watcher->events.empty()) return true;
  if (watcher->stream->full()) {
    MoveBehind(watcher, watcher->events.front().kv->mod_revision());
    return false;
  }
  Response response;
  response.watch_id = watcher->id;
  // As etcd's: also while more of history is to come.
  response.revision = watcher->state == Watcher::State::kReady
                          ? current()
                          : watcher->events.back().kv->mod_revision();
  response.events = std::move(watcher->events);
  stats_.events_sent += response.events.size();
  watcher->quiet = false;
  DropCollected(watcher);
  if (!watcher->fragment) {
    watcher->stream->Deliver(std::move(response));
    return true;
  }
  Fragment(std::move(response), options_.fragment_bytes,
           [watcher](Response piece) { watcher->stream->Deliver(std::move(piece)); });
  return true;
}

void Feed::Collect(Watcher* watcher, Change* change) {
  if (change->kv->tombstone() ? watcher->no_delete : watcher->no_put) return;
  const Revision revision = change->kv->mod_revision();
  if (!watcher->events.empty() && watcher->event_bytes >= BatchBytes(*watcher)) {
    const Revision last = watcher->events.back().kv->mod_revision();
    if (last != revision && !Emit(watcher)) return;
  }
  if (watcher->events.empty()) {
    if (watcher->stream->full()) {
      MoveBehind(watcher, revision);
      return;
    }
    watcher->pending_slot = static_cast<uint32_t>(pending_.size());
    pending_.push_back(watcher);
  }
  if (change->kv->cold()) change->kv = store_->Load(change->kv);
  if (watcher->prev_kv && change->prev && change->prev->cold()) {
    change->prev = store_->Load(change->prev);
  }
  watcher->events.push_back(watcher->prev_kv ? *change : Change{change->kv, {}});
  const size_t bytes = EventBytes(watcher->events.back());
  watcher->event_bytes += bytes;
  held_bytes_ += static_cast<ptrdiff_t>(bytes);
}

void Feed::Publish(Revision revision, absl::Span<const Change> changes) {
  published_ = std::max(published_, revision);
  for (Change change : changes) {
    index_.Stab(change.kv->key(), [&](IntervalIndex::Node& node) {
      for (size_t i = 0; i < node.synced.size();) {
        Watcher* watcher = node.synced[i];
        if (revision >= watcher->min_revision) Collect(watcher, &change);
        // One that falls behind leaves the list, and the last takes its place.
        if (i < node.synced.size() && node.synced[i] == watcher) ++i;
      }
    });
  }
  if (!pending_.empty() || !awaiting_progress_.empty()) ScheduleFlush();
}

void Feed::ScheduleFlush() {
  if (std::exchange(flush_scheduled_, true)) return;
  auto flush = [weak = std::weak_ptr<Feed*>(alive_)] {
    const std::shared_ptr<Feed*> feed = weak.lock();
    if (feed == nullptr) return;
    (*feed)->flush_scheduled_ = false;
    (*feed)->Flush();
  };
  if (paused_until_ > executor_->Now()) {
    executor_->RunAt(paused_until_, std::move(flush));
  } else {
    executor_->Defer(std::move(flush));
  }
}

void Feed::Flush() {
  for (size_t i = 0; i < pending_.size(); ++i) {
    Watcher* watcher = pending_[i];
    if (watcher != nullptr) Emit(watcher);
  }
  if (pending_.size() >= kManyResponses) paused_until_ = executor_->Now() + kPause;
  pending_.clear();
  AnswerProgress();
}

void Feed::AwaitProgress(WatchStream* stream) { awaiting_progress_.push_back(stream); }

void Feed::ForgetStream(const WatchStream* stream) { std::erase(awaiting_progress_, stream); }

void Feed::AnswerProgress() {
  std::erase_if(awaiting_progress_, [](WatchStream* stream) { return stream->AnswerProgress(); });
}

}  // namespace jetd::watch
