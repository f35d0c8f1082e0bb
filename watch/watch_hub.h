// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_WATCH_WATCH_HUB_H_
#define JETD_WATCH_WATCH_HUB_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/types/span.h"
#include "base/executor.h"
#include "base/limits.h"
#include "base/types.h"
#include "revision/committer.h"
#include "revision/kv.h"
#include "revision/store.h"
#include "watch/response.h"

namespace jetd::watch {

// A client's request on its watch stream, validated by etcdapi as far as that needs no state.
struct CreateRequest {
  std::string key;          // empty: etcd takes "\0"
  std::string range_end;    // as KeyRange::end; key "\0" with end "\0" is everything
  Revision start_revision;  // 0: from now on; below 0: refused
  bool progress_notify = false;
  bool no_put = false;
  bool no_delete = false;
  bool prev_kv = false;
  bool fragment = false;
  WatchId watch_id;  // 0: the hub chooses, from 0 on, what the stream does not use
};

// WatchHub feeds every watcher from one source: the committer's events. Synced watchers sit in an
// interval index and get events as they commit. Watchers that start in the past, and those whose
// stream is full, are unsynced: they catch up from the store's history in bounded steps, so that a
// slow client never holds others back and costs bounded memory.
//
// Guarantees, per watcher: events in order of revision, all events of a revision in one response
// (unless it asked for fragments), none twice, none missing from start_revision on; after a
// progress response of revision R no event at or below R. Several revisions are put into one
// response up to kWatchBatchBytes, for those that catch up to kWatchCatchUpBatchBytes. The header
// of a response with events from history names the newest revision, as etcd's does, also while more
// is to come.
//
// An event leaves in the engine's round in which it committed; what commits in one round leaves as
// one response.
//
// No timer per watch or stream: one for progress notification while a watcher wants it, one for the
// next step while somebody catches up; none otherwise.
//
// When this member does not lead (OnStepDown), watches stay open and silent, as with an etcd member
// that has lost its leader; after OnLeading they go on from where they were, and after
// OnFollowing, when another member's commits are told. Streams whose client
// sent the metadata `hasleader` are ended by etcdapi, since etcd ends the RPC there and not single
// watches.
//
// Thread rules: engine thread only.
class WatchHub : public revision::Committer::Listener {
 public:
  // Where a stream's responses go. Deliver must not call back into the hub.
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void Deliver(Response response) = 0;
  };

  struct Options {
    std::chrono::milliseconds progress_interval = limits::kWatchProgressInterval;
    size_t stream_buffer_bytes = limits::kWatchStreamBufferBytes;
    size_t batch_bytes = limits::kWatchBatchBytes;
    size_t catch_up_batch_bytes = limits::kWatchCatchUpBatchBytes;
    size_t plenty_bytes = limits::kWatchPlentyBytes;
    // History read in one step of catching up.
    size_t catch_up_revisions = limits::kWatchCatchUpRevisions;
    // Fragments are cut at this size: etcd's request limit and its allowance for gRPC.
    size_t fragment_bytes = limits::kMaxRequestBytes + limits::kGrpcOverheadBytes;
  };

  // One client stream. Destroying it, which comes before the hub's end, ends its watches silently.
  class Stream {
   public:
    virtual ~Stream() = default;
    // Answers through the sink, as etcd does: created; or created and canceled at once with id -1
    // and a reason (an id in use, an empty range, a negative revision); or created and later
    // canceled with compact_revision.
    virtual void Create(const CreateRequest& request) = 0;
    // Answered with `canceled`; an id that is not there is ignored.
    virtual void Cancel(WatchId id) = 0;
    // Answered with watch id -1 once every watcher of the stream is synced and what was committed
    // is delivered; several requests that wait share an answer. As in etcd there is no answer when
    // the stream has no watch, or one that starts in the future, or one that was canceled as
    // compacted and that the client has not canceled too.
    virtual void RequestProgress() = 0;
    // The sink wrote a response of that many size_bytes() to the transport: room again.
    virtual void Written(size_t bytes) = 0;
    // Delivered and not Written. Events stop at stream_buffer_bytes; answers to requests do not, so
    // from there on the transport reads no further request until it has written.
    [[nodiscard]] virtual size_t buffered_bytes() const = 0;
  };

  WatchHub(Executor* executor, const revision::Store* store, Options options);
  ~WatchHub() override;

  // `sink` outlives the stream.
  [[nodiscard]] std::unique_ptr<Stream> OpenStream(Sink* sink);

  // Cancels every watch with a reason; for a state that watchers must not go on from.
  void CancelAll(std::string_view reason);

  struct Stats {
    size_t streams = 0, watchers = 0, unsynced = 0;
    uint64_t events_sent = 0, responses_sent = 0;
    size_t buffered_bytes = 0;
    double watch_seconds = 0;  // how long each watch was there, added up
  };
  [[nodiscard]] Stats stats() const;

  // revision::Committer::Listener.
  void OnLeading(Term term) override;
  void OnFollowing(Term term) override;
  void OnCommit(Revision revision, absl::Span<const revision::Change> changes) override;
  // Cancels all.
  void OnHistoryLost() override;
  // A watcher that a compaction overtakes finds out at its next step.

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace jetd::watch

#endif  // JETD_WATCH_WATCH_HUB_H_
