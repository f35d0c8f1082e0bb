// SPDX-License-Identifier: Apache-2.0
#include "watch/watch_stream.h"

#include <algorithm>
#include <string>
#include <utility>

namespace jetd::watch {
namespace {

constexpr WatchId kNoWatch{-1};

// etcd's texts, which clients match on.
constexpr std::string_view kReasonCompacted =
    "etcdserver: mvcc: required revision has been compacted";
constexpr std::string_view kReasonEmptyRange = "mvcc: watcher range is empty";
constexpr std::string_view kReasonDuplicateId =
    "mvcc: duplicate watch ID provided on the WatchStream";

}  // namespace

WatchStream::WatchStream(Feed* feed, ProgressTicker* ticker, WatchStreams* streams,
                         WatchHub::Sink* sink)
    : feed_(feed),
      ticker_(ticker),
      streams_(streams),
      sink_(sink),
      opened_at_(feed->executor().Now()),
      number_(streams->next++) {
  streams_->open.emplace(number_, this);
}

WatchStream::~WatchStream() {
  ForEachWatcher([this](Watcher* watcher) { Detach(watcher); });
  feed_->ForgetStream(this);
  feed_->ChangeUnwritten(-static_cast<ptrdiff_t>(buffered_bytes_));
  streams_->open.erase(number_);
}

WatchId WatchStream::FreeId() {
  while (watchers_.contains(next_id_)) ++next_id_;
  return WatchId{next_id_++};
}

void WatchStream::Refuse(std::string_view reason) {
  Response response;
  response.watch_id = kNoWatch;
  response.revision = feed_->current();
  response.created = true;
  response.canceled = true;
  response.cancel_reason = std::string(reason);
  Deliver(std::move(response));
}

void WatchStream::Create(const CreateRequest& request) {
  const std::string_view key =
      request.key.empty() ? std::string_view("\0", 1) : std::string_view(request.key);
  const revision::KeyRange range{key, request.range_end};
  if (request.start_revision < Revision{0}) return Refuse(kReasonCompacted);
  if (!range.single() && !range.open_ended() && range.key >= range.end) {
    return Refuse(kReasonEmptyRange);
  }
  if (request.watch_id != WatchId{0} && watchers_.contains(request.watch_id.value())) {
    return Refuse(kReasonDuplicateId);
  }
  auto made = std::make_unique<Watcher>();
  Watcher* watcher = made.get();
  watcher->stream = this;
  watcher->id = request.watch_id == WatchId{0} ? FreeId() : request.watch_id;
  watcher->start_revision = request.start_revision;
  watcher->progress_notify = request.progress_notify;
  watcher->no_put = request.no_put;
  watcher->no_delete = request.no_delete;
  watcher->prev_kv = request.prev_kv;
  watcher->fragment = request.fragment;
  watchers_.emplace(watcher->id.value(), std::move(made));
  latest_start_ = std::max(latest_start_, watcher->start_revision);
  feed_->Add(watcher, range);
  if (watcher->progress_notify && notified_++ == 0) ticker_->Add(this);

  Response response;
  response.watch_id = watcher->id;
  response.revision = feed_->current();
  response.created = true;
  Deliver(std::move(response));
}

void WatchStream::Detach(Watcher* watcher) {
  feed_->Remove(watcher);
  if (watcher->progress_notify && --notified_ == 0) ticker_->Remove(this);
}

void WatchStream::Cancel(WatchId id) {
  auto it = watchers_.find(id.value());
  if (it == watchers_.end()) return;
  Watcher* watcher = it->second.get();
  if (watcher->state == Watcher::State::kCompacted) {
    --compacted_;
  } else {
    if (!watcher->events.empty()) feed_->Emit(watcher);
    Detach(watcher);
  }
  watchers_.erase(it);

  Response response;
  response.watch_id = id;
  response.revision = feed_->current();
  response.canceled = true;
  Deliver(std::move(response));
  // It may have been the one that a progress request waited for.
  if (progress_requested_) feed_->Flush();
}

void WatchStream::CancelCompacted(Watcher* watcher, Revision compacted) {
  Detach(watcher);
  watcher->state = Watcher::State::kCompacted;
  ++compacted_;
  Response response;
  response.watch_id = watcher->id;
  response.canceled = true;
  response.compact_revision = compacted;
  Deliver(std::move(response));
}

void WatchStream::CancelAll(std::string_view reason) {
  ForEachWatcher([this, reason](Watcher* watcher) {
    Detach(watcher);
    Response response;
    response.watch_id = watcher->id;
    response.revision = feed_->current();
    response.canceled = true;
    response.cancel_reason = std::string(reason);
    Deliver(std::move(response));
  });
  watchers_.clear();
  compacted_ = 0;
}

bool WatchStream::PublishedAll() const { return feed_->published() >= feed_->store().committed(); }

void WatchStream::RequestProgress() {
  if (progress_requested_) return;
  progress_requested_ = true;
  feed_->AwaitProgress(this);
  feed_->Flush();
}

bool WatchStream::AnswerProgress() {
  if (watchers_.empty() || compacted_ > 0) {
    progress_requested_ = false;
    return true;
  }
  if (behind_ > 0 || full() || !PublishedAll()) return false;
  progress_requested_ = false;
  const Revision published = feed_->published();
  if (latest_start_ > published) {
    for (const auto& [id, watcher] : watchers_) {
      if (watcher->start_revision > published) return true;
    }
  }
  Response response;
  response.watch_id = kNoWatch;
  response.revision = published;
  Deliver(std::move(response));
  return true;
}

void WatchStream::NotifyProgress() {
  feed_->Flush();
  const Revision published = feed_->published();
  ForEachWatcher([&](Watcher* watcher) {
    if (!watcher->progress_notify) return;
    const bool due = std::exchange(watcher->quiet, true);
    if (!due || watcher->state != Watcher::State::kSynced || !PublishedAll() || full() ||
        watcher->start_revision > published) {
      return;
    }
    Response response;
    response.watch_id = watcher->id;
    response.revision = published;
    Deliver(std::move(response));
  });
}

void WatchStream::Deliver(Response response) {
  const size_t bytes = response.size_bytes();
  buffered_bytes_ += bytes;
  feed_->ChangeUnwritten(static_cast<ptrdiff_t>(bytes));
  if (full()) was_full_ = true;
  ++feed_->stats().responses_sent;
  sink_->Deliver(std::move(response));
}

void WatchStream::Written(size_t bytes) {
  bytes = std::min(bytes, buffered_bytes_);
  buffered_bytes_ -= bytes;
  feed_->ChangeUnwritten(-static_cast<ptrdiff_t>(bytes));
  if (!was_full_ || buffered_bytes_ > feed_->options().stream_buffer_bytes / 2) return;
  was_full_ = false;
  ForEachWatcher([this](Watcher* watcher) {
    if (watcher->state == Watcher::State::kBlocked) feed_->Unblock(watcher);
  });
  if (progress_requested_) feed_->Flush();
}

}  // namespace jetd::watch
