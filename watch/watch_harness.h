// SPDX-License-Identifier: Apache-2.0
//
// For tests of the watch hub: a store with a hub on it, and clients that remember what they got.
#ifndef JETD_WATCH_WATCH_HARNESS_H_
#define JETD_WATCH_WATCH_HARNESS_H_

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fake_executor.h"
#include "base/strings.h"
#include "revision/store.h"
#include "revision/value_harness.h"
#include "watch/watch_hub.h"

namespace jetd::watch {

// "3@7 a=1 b=2(was 1) -c(was 2)": watch 3, header revision 7, and the events.
inline std::string Text(const Response& response) {
  std::string out = Cat(response.watch_id.value(), "@", response.revision.value());
  if (response.created) out += " created";
  if (response.canceled) out += " canceled";
  if (response.fragment) out += " fragment";
  if (response.compact_revision != Revision{0}) {
    CatTo(out, " compacted:", response.compact_revision.value());
  }
  if (!response.cancel_reason.empty()) CatTo(out, " (", response.cancel_reason, ")");
  for (const revision::Change& event : response.events) {
    if (event.kv->tombstone()) {
      CatTo(out, " -", event.kv->key());
    } else {
      CatTo(out, " ", event.kv->key(), "=", event.kv->value());
    }
    if (event.prev) CatTo(out, "(was ", event.prev->value(), ")");
  }
  return out;
}

inline std::vector<std::string> Texts(const std::vector<Response>& responses) {
  std::vector<std::string> out;
  for (const Response& response : responses) out.push_back(Text(response));
  return out;
}

using Lines = std::vector<std::string>;

// A store that commits each transaction at once, and tells the hub.
class Harness {
 public:
  explicit Harness(const WatchHub::Options& options = {}) {
    hub = std::make_unique<WatchHub>(&executor, &store, options);
    hub->OnLeading(Term{1});
  }

  // From now on values are in files, but for `budget_bytes` of them.
  void KeepValuesInFiles(size_t budget_bytes) {
    revision::UseTinyValueFiles(&store, folder_.emplace().path(), budget_bytes);
  }

  // Runs `write` as one transaction; returns its changes, none if it changed nothing.
  std::vector<revision::Change> Txn(const std::function<void()>& write) {
    store.Begin();
    write();
    std::vector<revision::Change> changes = store.txn_changes();
    if (store.End()) store.CommitOldest();
    if (!changes.empty()) hub->OnCommit(store.committed(), changes);
    for (revision::Change& change : changes) change.prev = store.Load(change.prev);
    return changes;
  }
  Revision Put(const std::string& key, const std::string& value) {
    Txn([&] { store.Put(key, value, LeaseId{}, NextSeq()); });
    return store.committed();
  }
  Revision Delete(const std::string& key, const std::string& end = "") {
    Txn([&] { store.Delete({key, end}, NextSeq()); });
    return store.committed();
  }
  void Compact(Revision revision) {
    store.Compact(revision);
    hub->OnCompacted(revision);
  }
  StreamSeq NextSeq() { return last_seq_ = StreamSeq{last_seq_.value() + 1'000}; }
  // Runs what is due now: the end of the round, and the rounds of catching up.
  void Settle() { executor.Advance(std::chrono::nanoseconds(0)); }

 private:
  std::optional<ScratchFolder> folder_;  // outlives the store

 public:
  FakeExecutor executor;
  revision::Store store;
  std::unique_ptr<WatchHub> hub;

 private:
  StreamSeq last_seq_;
};

// A client stream with the transport in between: what was delivered waits until Write.
class Client : public WatchHub::Sink {
 public:
  explicit Client(Harness* harness) : harness_(harness), stream(harness->hub->OpenStream(this)) {}

  void Deliver(Response response) override {
    waiting_.push_back(response.size_bytes());
    responses.push_back(std::move(response));
  }
  // The transport takes the oldest responses.
  void Write(size_t count = SIZE_MAX) {
    for (; count > 0 && !waiting_.empty(); --count) {
      const size_t bytes = waiting_.front();
      waiting_.pop_front();
      stream->Written(bytes);
    }
  }
  // Everything that is to come comes.
  void Drain() {
    for (size_t seen = SIZE_MAX; seen != responses.size();) {
      seen = responses.size();
      Write();
      harness_->Settle();
    }
  }
  WatchId Watch(const CreateRequest& request) {
    stream->Create(request);
    return responses.back().watch_id;
  }
  // What came since the last call.
  std::vector<Response> Take() { return std::exchange(responses, {}); }

 private:
  Harness* const harness_;
  std::deque<size_t> waiting_;

 public:
  std::vector<Response> responses;
  std::unique_ptr<WatchHub::Stream> stream;
};

}  // namespace jetd::watch

#endif  // JETD_WATCH_WATCH_HARNESS_H_
