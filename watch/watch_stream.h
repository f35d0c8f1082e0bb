// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_WATCH_WATCH_STREAM_H_
#define JETD_WATCH_WATCH_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/container/btree_map.h"
#include "base/executor.h"
#include "base/types.h"
#include "watch/feed.h"
#include "watch/progress_ticker.h"
#include "watch/watch_hub.h"
#include "watch/watcher.h"

namespace jetd::watch {

class WatchStream;

// The streams of a hub, in the order in which they were opened: what they are told does not depend
// on where they lie in memory.
struct WatchStreams {
  uint64_t next = 1;
  absl::btree_map<uint64_t, WatchStream*> open;
};

// WatchStream is one client stream: its watches by id, and the account of what waits in the sink.
// The feed and the ticker call it; clients call the part that is WatchHub::Stream.
//
// Thread rules: engine thread only.
class WatchStream final : public WatchHub::Stream {
 public:
  // `streams` is the hub's list of streams, which this one enters and leaves.
  WatchStream(Feed* feed, ProgressTicker* ticker, WatchStreams* streams, WatchHub::Sink* sink);
  ~WatchStream() override;

  // WatchHub::Stream.
  void Create(const CreateRequest& request) override;
  void Cancel(WatchId id) override;
  void RequestProgress() override;
  void Written(size_t bytes) override;
  [[nodiscard]] size_t buffered_bytes() const override { return buffered_bytes_; }

  // ---- For the feed -----------------------------------------------------------------------------
  [[nodiscard]] bool full() const {
    return buffered_bytes_ >= feed_->options().stream_buffer_bytes;
  }
  void Deliver(Response response);
  // One watcher more or less is not synced.
  void ChangeBehind(int by) { behind_ += by; }
  // The revisions that the watcher still wants are compacted away.
  void CancelCompacted(Watcher* watcher, Revision compacted);
  // True if there is nothing to answer (any more).
  [[nodiscard]] bool AnswerProgress();
  // Calls fn(Watcher*) for each that is not canceled.
  template <typename Fn>
  void ForEachWatcher(Fn&& fn) {
    for (auto& [id, watcher] : watchers_) {
      if (watcher->state != Watcher::State::kCompacted) fn(watcher.get());
    }
  }

  // ---- For the hub and the ticker ---------------------------------------------------------------
  void CancelAll(std::string_view reason);
  // A tick of the progress interval: tells each quiet, synced watcher that asked for it.
  void NotifyProgress();
  [[nodiscard]] MonoTime opened_at() const { return opened_at_; }
  // Of those of a hub, in the order of opening.
  [[nodiscard]] uint64_t number() const { return number_; }

 private:
  [[nodiscard]] WatchId FreeId();
  void Refuse(std::string_view reason);
  // Takes the watcher out of the feed and the ticker; its id stays.
  void Detach(Watcher* watcher);
  // What readers can see was published too: a progress response may say so.
  [[nodiscard]] bool PublishedAll() const;

  // Constant.
  Feed* const feed_;
  ProgressTicker* const ticker_;
  WatchStreams* const streams_;
  WatchHub::Sink* const sink_;
  const MonoTime opened_at_;
  const uint64_t number_;

  absl::btree_map<int64_t, std::unique_ptr<Watcher>> watchers_;
  int64_t next_id_ = 0;
  size_t buffered_bytes_ = 0;
  int64_t behind_ = 0;     // watchers ready or blocked
  int64_t compacted_ = 0;  // canceled ones whose id is still taken
  int64_t notified_ = 0;   // watchers with progress_notify
  // No start_revision of a watcher is above this.
  Revision latest_start_;
  bool progress_requested_ = false;
  // The sink was full and has not come down to half since: some watchers may be blocked.
  bool was_full_ = false;
};

}  // namespace jetd::watch

#endif  // JETD_WATCH_WATCH_STREAM_H_
