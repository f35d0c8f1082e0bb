// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_WATCH_WATCH_HUB_H_
#define JETD_WATCH_WATCH_HUB_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "base/executor.h"
#include "base/limits.h"
#include "base/types.h"
#include "revision/committer.h"
#include "revision/kv.h"
#include "revision/store.h"

namespace jetd::watch {

// What one watch response says, before etcdapi spells it in protobuf.
struct Response {
  WatchId watch_id;
  Revision revision;  // of the header
  bool created = false;
  bool canceled = false;
  bool fragment = false;      // more of the same revision follow
  Revision compact_revision;  // not 0: canceled because it wanted to start below
  std::string cancel_reason;
  // Events in order. `prev` is set only if the watch asked for it (and there was one).
  std::vector<revision::Change> events;

  // Bytes that this response will hold, about: keys, values and a little for each event.
  [[nodiscard]] size_t size_bytes() const;
};

// A client's request on its watch stream, validated by etcdapi as far as that needs no state.
struct CreateRequest {
  std::string key;          // empty: etcd takes "\0"
  std::string range_end;    // as KeyRange::end; see etcd for key "\0" with end "\0" (all)
  Revision start_revision;  // 0: from now on
  bool progress_notify = false;
  bool no_put = false;
  bool no_delete = false;
  bool prev_kv = false;
  bool fragment = false;
  WatchId watch_id;  // 0: the hub chooses
};

// WatchHub feeds every watcher from one source: the committer's events. Synced watchers sit in an
// interval index and get events as they commit. Watchers that start in the past, and those whose
// stream is full, are unsynced: they catch up from the store's history in bounded steps, so that a
// slow client never holds others back and costs bounded memory.
//
// Guarantees, per watcher: events in order of revision, all events of a revision in one response
// (unless it asked for fragments), none twice, none missing from start_revision on; after a
// progress response of revision R no event at or below R. Several revisions are put into one
// response up to kWatchBatchBytes.
//
// No timer per watch or stream: one for progress notification while a watcher wants it, one
// deferred task while somebody is unsynced; none otherwise.
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
    // Fragments are cut at this size (etcd: the request limit).
    size_t fragment_bytes = limits::kMaxRequestBytes;
  };

  // One client stream. Destroying it ends its watches silently.
  class Stream {
   public:
    virtual ~Stream() = default;
    // Answers through the sink: created; or created and canceled with a reason (an id in use), or
    // created and then canceled with compact_revision, each as etcd does.
    virtual void Create(const CreateRequest& request) = 0;
    virtual void Cancel(WatchId id) = 0;
    // Answered with watch id -1 once every watcher of the stream is synced and what was committed
    // is delivered.
    virtual void RequestProgress() = 0;
    // The sink wrote a response of that many size_bytes() to the transport: room again.
    virtual void Written(size_t bytes) = 0;
  };

  WatchHub(Executor* executor, const revision::Store* store, Options options);
  ~WatchHub() override;

  // `sink` outlives the stream.
  [[nodiscard]] std::unique_ptr<Stream> OpenStream(Sink* sink);

  struct Stats {
    size_t streams = 0, watchers = 0, unsynced = 0;
    uint64_t events_sent = 0, responses_sent = 0;
    size_t buffered_bytes = 0;
  };
  [[nodiscard]] Stats stats() const;

  // revision::Committer::Listener.
  void OnLeading(Term term) override;
  void OnCommit(Revision revision, absl::Span<const revision::Change> changes) override;
  void OnLeaseGranted(LeaseId id, int64_t ttl_s) override;
  void OnLeaseGone(LeaseId id) override;
  void OnCompacted(Revision revision) override;
  void OnStepDown(const absl::Status& why) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace jetd::watch

#endif  // JETD_WATCH_WATCH_HUB_H_
