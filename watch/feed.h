// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_WATCH_FEED_H_
#define JETD_WATCH_FEED_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "base/executor.h"
#include "base/types.h"
#include "revision/kv.h"
#include "revision/request.h"
#include "revision/store.h"
#include "watch/catch_up.h"
#include "watch/interval_index.h"
#include "watch/watch_hub.h"
#include "watch/watcher.h"

namespace jetd::watch {

// Feed brings events to watchers. Those of a commit are collected per watcher and handed to the
// streams by one Flush at the end of the round:
//
//   Publish(7: a=1)    watcher A: [7]        B: []
//   Publish(8: a=2)    watcher A: [7, 8]     B: [8]
//   Flush              A's stream gets one response of 7 and 8, B's one of 8
//
// A Flush to many streams is followed by a pause: under load, events of several commits then share
// a response, and a system call, per watcher. Nothing waits where events or watchers are few.
//
// A watcher whose stream has no room drops what it collected and remembers the revision of the
// first of it: from there CatchUp reads it again.
//
// Thread rules: engine thread only.
class Feed {
 public:
  // So many responses in a Flush are many, and the pause behind it.
  static constexpr size_t kManyResponses = 32;
  static constexpr std::chrono::milliseconds kPause{2};

  Feed(Executor* executor, const revision::Store* store, const WatchHub::Options& options);
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

  // ---- Watchers ---------------------------------------------------------------------------------
  // Puts a new watcher into its place. Its flags, ids and start_revision are set.
  void Add(Watcher* watcher, const revision::KeyRange& range);
  // Takes it out of every list; what it collected is dropped.
  void Remove(Watcher* watcher);
  // Its stream has room again.
  void Unblock(Watcher* watcher);
  // A synced watcher missed events from `from` on.
  void MoveBehind(Watcher* watcher, Revision from);
  // CatchUp brought it to the newest revision.
  void MoveToSynced(Watcher* watcher);
  // Hands over what this watcher collected. False if its stream has no room: then it is blocked.
  bool Emit(Watcher* watcher);
  // Adds an event of history or of a commit, if it passes the watcher's filters. Of a cold change
  // it loads what the watcher gets, and leaves that in *change for the next one.
  void Collect(Watcher* watcher, revision::Change* change);

  // ---- The round --------------------------------------------------------------------------------
  void Publish(Revision revision, absl::Span<const revision::Change> changes);
  // Hands over what was collected, then answers the progress requests that waited for it.
  void Flush();
  // A stream that could not answer a progress request yet is asked again after every Flush.
  void AwaitProgress(WatchStream* stream);
  void ForgetStream(const WatchStream* stream);
  // Bytes of delivered responses that were not written yet, more or less by so many.
  void ChangeUnwritten(ptrdiff_t by) { held_bytes_ += by; }

  // The newest revision that was published; all of it is delivered or collected.
  [[nodiscard]] Revision published() const { return published_; }
  void set_published(Revision revision) { published_ = revision; }
  // The newest that clients can see, which may run ahead of published() within a round.
  [[nodiscard]] Revision current() const { return std::max(published_, store_->committed()); }

  [[nodiscard]] Executor& executor() const { return *executor_; }
  [[nodiscard]] const revision::Store& store() const { return *store_; }
  [[nodiscard]] const WatchHub::Options& options() const { return options_; }
  [[nodiscard]] const IntervalIndex& index() const { return index_; }
  [[nodiscard]] WatchHub::Stats& stats() { return stats_; }
  // Brings stats().watch_seconds up to now; comes before each change of the number of watchers.
  void CountTime();

 private:
  void ScheduleFlush();
  void AnswerProgress();
  // Sets the state and enters the lists that belong to it; a watcher is in none before.
  void Enter(Watcher* watcher, Watcher::State state);
  // Leaves all lists of its state.
  void Leave(Watcher* watcher);
  void DropCollected(Watcher* watcher);
  // From this size on what the watcher collected is a response.
  [[nodiscard]] size_t BatchBytes(const Watcher& watcher) const;

  // Constant.
  Executor* const executor_;
  const revision::Store* const store_;
  const WatchHub::Options options_;

  IntervalIndex index_;
  CatchUp catch_up_;
  Revision published_;
  std::vector<Watcher*> pending_;  // with events; null where one was removed
  ptrdiff_t held_bytes_ = 0;       // collected, or delivered and not written
  bool flush_scheduled_ = false;
  MonoTime paused_until_{0};
  std::vector<WatchStream*> awaiting_progress_;
  WatchHub::Stats stats_;
  MonoTime counted_until_{0};
  // What was deferred before the hub's end does nothing after it.
  std::shared_ptr<Feed*> alive_ = std::make_shared<Feed*>(this);
};

}  // namespace jetd::watch

#endif  // JETD_WATCH_FEED_H_
