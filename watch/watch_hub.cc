// SPDX-License-Identifier: Apache-2.0
#include "watch/watch_hub.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "watch/feed.h"
#include "watch/progress_ticker.h"
#include "watch/watch_stream.h"

namespace jetd::watch {
namespace {

constexpr std::string_view kLost = "jetd: revisions that watchers saw were lost";

}  // namespace

struct WatchHub::Impl {
  Impl(Executor* executor, const revision::Store* store, const Options& options)
      : feed(executor, store, options), ticker(executor, options.progress_interval) {
    feed.set_published(store->committed());
  }

  // The store moved while no commits were published: another member led meanwhile, or answered
  // revisions were lost.
  void Resync() {
    feed.Flush();
    const Revision published = feed.published();
    const Revision committed = feed.store().committed();
    feed.set_published(committed);
    if (committed < published) return CancelAll(kLost);
    for (const auto& [number, stream] : streams.open) {
      stream->ForEachWatcher([&](Watcher* watcher) {
        if (watcher->state != Watcher::State::kSynced) return;
        if (std::max(watcher->min_revision, published.Next()) > committed) return;
        feed.MoveBehind(watcher, published.Next());
      });
    }
  }

  void CancelAll(std::string_view reason) {
    for (const auto& [number, stream] : streams.open) stream->CancelAll(reason);
  }

  Feed feed;
  ProgressTicker ticker;
  WatchStreams streams;
};

WatchHub::WatchHub(Executor* executor, const revision::Store* store, Options options)
    : impl_(std::make_unique<Impl>(executor, store, options)) {}

WatchHub::~WatchHub() {
  JETD_CHECK(impl_->streams.open.empty()) << "streams outlive the watch hub";
}

std::unique_ptr<WatchHub::Stream> WatchHub::OpenStream(Sink* sink) {
  return std::make_unique<WatchStream>(&impl_->feed, &impl_->ticker, &impl_->streams, sink);
}

void WatchHub::CancelAll(std::string_view reason) { impl_->CancelAll(reason); }

WatchHub::Stats WatchHub::stats() const {
  impl_->feed.CountTime();
  Stats stats = impl_->feed.stats();
  stats.streams = impl_->streams.open.size();
  for (const auto& [number, stream] : impl_->streams.open) {
    stats.buffered_bytes += stream->buffered_bytes();
  }
  return stats;
}

void WatchHub::OnLeading(Term /*term*/) { impl_->Resync(); }

void WatchHub::OnFollowing(Term /*term*/) { impl_->Resync(); }

void WatchHub::OnHistoryLost() { impl_->CancelAll(kLost); }

void WatchHub::OnCommit(Revision revision, absl::Span<const revision::Change> changes) {
  impl_->feed.Publish(revision, changes);
}

}  // namespace jetd::watch
