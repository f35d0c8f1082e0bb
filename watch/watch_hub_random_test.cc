// SPDX-License-Identifier: Apache-2.0
//
// The hub against a model that says exactly what each watcher must get. A seed draws commits of one
// or more keys, watchers that open anywhere in the past, now or in the future, clients that read
// slowly, progress requests, cancels and compactions; with values in files or in memory.
#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/strings.h"
#include "gtest/gtest.h"
#include "watch/watch_harness.h"

namespace jetd::watch {
namespace {

using revision::Change;

// What the model knows of one watcher.
struct Expectation {
  CreateRequest request;
  Revision from;        // the first revision whose events are for it
  size_t next = 0;      // index into the history of the next event it may get
  Revision newest;      // it has everything up to here, or so it was told
  Revision last_event;  // of the newest event
  bool in_fragments = false;
  bool ended = false;
  bool never_behind = false;  // compaction must not cancel it
};

// One client with its stream, checking every response as it comes.
class CheckedClient : public WatchHub::Sink {
 public:
  CheckedClient(Harness* harness, const std::vector<Change>* history,
                const std::set<Revision>* compactions, size_t buffer_bytes)
      : harness_(harness),
        history_(history),
        compactions_(compactions),
        buffer_bytes_(buffer_bytes),
        stream_(harness->hub->OpenStream(this)) {}

  void Deliver(Response response) override {
    waiting_.push_back(response.size_bytes());
    if (buffered_bytes() >= buffer_bytes_) was_full_ = true;
    if (response.created) return OnCreated(response);
    if (response.watch_id == WatchId{-1}) return OnProgressOfAll(response);
    ASSERT_TRUE(watchers_.contains(response.watch_id)) << response.watch_id;
    Expectation& want = watchers_[response.watch_id];
    ASSERT_TRUE(!want.ended || (canceling_ && response.canceled)) << "after its end";
    if (response.canceled) return OnCanceled(response, &want);
    if (response.events.empty()) {
      ASSERT_TRUE(want.request.progress_notify);
      return OnProgress(response.revision, &want);
    }
    OnEvents(response, &want);
  }

  void Watch(const CreateRequest& request) {
    creating_ = request;
    stream_->Create(request);
  }
  void CancelOne(std::mt19937_64* random) {
    if (watchers_.empty()) return;
    auto it = watchers_.begin();
    std::advance(it, (*random)() % watchers_.size());
    const WatchId id = it->first;
    canceling_ = true;
    stream_->Cancel(id);
    canceling_ = false;
    ASSERT_FALSE(watchers_.contains(id)) << "a cancel without an answer";
  }
  void RequestProgress() { stream_->RequestProgress(); }
  void Write(size_t count) {
    for (; count > 0 && !waiting_.empty(); --count) {
      stream_->Written(waiting_.front());
      waiting_.pop_front();
    }
  }
  [[nodiscard]] bool idle() const { return waiting_.empty(); }
  [[nodiscard]] size_t buffered_bytes() const { return stream_->buffered_bytes(); }
  [[nodiscard]] uint64_t compacted_watchers() const { return compacted_watchers_; }
  [[nodiscard]] uint64_t progress_answers() const { return progress_answers_; }
  [[nodiscard]] uint64_t events() const { return events_; }

  // Everybody who lives has everything.
  void ExpectComplete() {
    for (auto& [id, want] : watchers_) {
      if (want.ended) continue;
      Skip(&want, harness_->store.committed());
      EXPECT_EQ(want.next, history_->size()) << "watch " << id << " misses events";
      EXPECT_FALSE(want.in_fragments);
    }
  }

 private:
  [[nodiscard]] static bool Wants(const Expectation& want, const Change& change) {
    const revision::KeyRange range{want.request.key, want.request.range_end};
    return change.kv->mod_revision() >= want.from && range.Contains(change.kv->key()) &&
           !(change.kv->tombstone() ? want.request.no_delete : want.request.no_put);
  }
  // Passes what is not for this watcher, up to a revision.
  void Skip(Expectation* want, Revision until) const {
    while (want->next < history_->size() && (*history_)[want->next].kv->mod_revision() <= until &&
           !Wants(*want, (*history_)[want->next])) {
      ++want->next;
    }
  }
  void OnCreated(const Response& response) {
    ASSERT_FALSE(response.canceled);
    ASSERT_FALSE(watchers_.contains(response.watch_id));
    const Revision now = harness_->store.committed();
    ASSERT_EQ(response.revision, now);
    Expectation want;
    want.request = creating_;
    const Revision start = creating_.start_revision;
    want.from = start == Revision{0} ? now.Next() : start;
    want.never_behind = start == Revision{0} || start > now;
    watchers_[response.watch_id] = want;
  }
  void OnCanceled(const Response& response, Expectation* want) {
    if (canceling_) {
      ASSERT_EQ(response.revision, harness_->store.committed());
      watchers_.erase(response.watch_id);
      return;
    }
    want->ended = true;
    ++compacted_watchers_;
    ASSERT_EQ(response.compact_revision, harness_->store.compacted());
    ASSERT_EQ(response.revision, Revision{0});
    // It wants revisions from here on, and they are gone; those of the compact one are not.
    ASSERT_LT(std::max(want->from, want->newest.Next()), response.compact_revision);
    ASSERT_FALSE(want->never_behind && !was_full_) << "canceled though it was never behind";
  }
  // Nothing at or below `revision` is missing.
  void OnProgress(Revision revision, Expectation* want) {
    ASSERT_GE(revision, want->newest);
    want->newest = revision;
    Skip(want, revision);
    if (want->next < history_->size()) {
      ASSERT_GT((*history_)[want->next].kv->mod_revision(), revision) << "progress before events";
    }
  }
  void OnProgressOfAll(const Response& response) {
    ++progress_answers_;
    ASSERT_TRUE(response.events.empty());
    ASSERT_EQ(response.revision, harness_->store.committed());
    for (auto& [id, want] : watchers_) {
      ASSERT_FALSE(want.ended);
      ASSERT_LE(want.request.start_revision, response.revision);
      OnProgress(response.revision, &want);
    }
  }
  void OnEvents(const Response& response, Expectation* want) {
    ASSERT_TRUE(want->request.fragment || !response.fragment);
    for (const Change& got : response.events) {
      ++events_;
      const Revision revision = got.kv->mod_revision();
      ASSERT_GT(revision, want->newest) << "an event after progress said there is none";
      Skip(want, revision);
      ASSERT_LT(want->next, history_->size());
      const Change& expected = (*history_)[want->next++];
      ASSERT_EQ(got.kv->mod(), expected.kv->mod());
      ASSERT_EQ(got.kv->encoded(), expected.kv->encoded());
      // At a compact revision the version before is not to be had any more.
      const bool optional = compactions_->contains(revision);
      if (!want->request.prev_kv || !expected.prev) {
        ASSERT_FALSE(got.prev);
      } else if (got.prev || !optional) {
        ASSERT_TRUE(got.prev);
        ASSERT_EQ(got.prev->encoded(), expected.prev->encoded());
      }
      want->last_event = revision;
    }
    want->in_fragments = response.fragment;
    ASSERT_GE(response.revision, want->last_event);
    ASSERT_LE(response.revision, harness_->store.committed());
    if (response.fragment) return;
    // Whole revisions: what follows is of a later one.
    want->newest = want->last_event;
    Skip(want, want->newest);
    if (want->next < history_->size()) {
      ASSERT_GT((*history_)[want->next].kv->mod_revision(), want->newest);
    }
  }

  Harness* const harness_;
  const std::vector<Change>* const history_;
  const std::set<Revision>* const compactions_;
  const size_t buffer_bytes_;
  CreateRequest creating_;
  bool canceling_ = false;
  bool was_full_ = false;
  std::map<WatchId, Expectation> watchers_;
  std::deque<size_t> waiting_;
  uint64_t compacted_watchers_ = 0, progress_answers_ = 0, events_ = 0;
  std::unique_ptr<WatchHub::Stream> stream_;
};

class Scenario {
 public:
  explicit Scenario(uint64_t seed) : random_(seed) {
    options_.progress_interval = std::chrono::seconds(1);
    options_.stream_buffer_bytes = 300 + random_() % 3'000;
    options_.batch_bytes = 100 + random_() % 1'000;
    options_.catch_up_batch_bytes = 100 + random_() % 3'000;
    options_.plenty_bytes = random_() % 10'000;
    options_.catch_up_revisions = 1 + random_() % 40;
    options_.fragment_bytes = 100 + random_() % 400;
    harness_ = std::make_unique<Harness>(options_);
    if (random_() % 4 == 0) harness_->KeepValuesInFiles(random_() % 500);
    for (int i = 0; i < 4; ++i) {
      clients_.push_back(std::make_unique<CheckedClient>(harness_.get(), &history_, &compactions_,
                                                         options_.stream_buffer_bytes));
    }
  }

  void Run(int steps) {
    for (int step = 0; step < steps && !testing::Test::HasFailure(); ++step) Step();
    for (bool busy = true; busy && !testing::Test::HasFailure();) {
      busy = false;
      for (auto& client : clients_) {
        client->Write(SIZE_MAX);
        harness_->Settle();
        busy |= !client->idle();
      }
    }
    for (auto& client : clients_) {
      client->ExpectComplete();
      events += client->events();
      compacted += client->compacted_watchers();
      progress += client->progress_answers();
    }
    EXPECT_EQ(harness_->hub->stats().unsynced, 0U);
  }

  uint64_t events = 0, compacted = 0, progress = 0, largest_buffer = 0;

 private:
  uint64_t Draw(uint64_t below) { return random_() % below; }
  CheckedClient* Someone() { return clients_[Draw(clients_.size())].get(); }
  std::string Key() { return Cat("k", Draw(3), "/", Draw(4)); }

  void Commit() {
    // More than one key at times; keys of a transaction differ, as etcd demands.
    const uint64_t count = Draw(4) == 0 ? 1 + Draw(6) : 1;
    std::set<std::string> keys;
    while (keys.size() < count) keys.insert(Key());
    const auto changes = harness_->Txn([&] {
      for (const std::string& key : keys) {
        if (Draw(4) == 0) {
          harness_->store.Delete({key, {}}, harness_->NextSeq());
        } else {
          harness_->store.Put(key, std::string(Draw(60), 'v'), LeaseId{}, harness_->NextSeq());
        }
      }
    });
    history_.insert(history_.end(), changes.begin(), changes.end());
  }
  void Open() {
    CreateRequest request;
    request.key = Key();
    switch (Draw(4)) {
      case 0:
        break;
      case 1:
        request.key = Cat("k", Draw(3), "/");
        request.range_end = request.key.substr(0, 2) + "0";
        break;
      case 2:
        request.range_end = std::string(1, '\0');
        break;
      default:
        request.key = "k0";
        request.range_end = "l";
    }
    const Revision committed = harness_->store.committed();
    if (Draw(2) == 0) {
      request.start_revision = Revision{static_cast<int64_t>(1 + Draw(committed.value() + 3))};
    }
    request.progress_notify = Draw(3) == 0;
    request.no_put = Draw(8) == 0;
    request.no_delete = Draw(8) == 0;
    request.prev_kv = Draw(2) == 0;
    request.fragment = Draw(4) == 0;
    Someone()->Watch(request);
  }
  void Compact() {
    const int64_t low = harness_->store.compacted().value();
    const int64_t high = harness_->store.committed().value();
    if (high <= low) return;
    // Mostly near the low end, so that some history is left.
    const Revision at{low + 1 + static_cast<int64_t>(Draw(high - low)) / (Draw(3) == 0 ? 1 : 3)};
    if (at > harness_->store.committed()) return;
    harness_->Compact(at);
    compactions_.insert(at);
  }
  void Step() {
    switch (const uint64_t what = Draw(100); what) {
      case 0 ... 49:
        Commit();
        break;
      case 50 ... 58:
        Open();
        break;
      case 59 ... 62:
        Someone()->CancelOne(&random_);
        break;
      case 63 ... 66:
        Someone()->RequestProgress();
        break;
      case 67:
        Compact();
        break;
      case 68 ... 82:
        // The first client hardly ever reads.
        clients_[Draw(20) == 0 ? 0 : 1 + Draw(3)]->Write(1 + Draw(6));
        break;
      case 83:
        harness_->executor.Advance(std::chrono::milliseconds(Draw(700)));
        break;
      default:
        harness_->Settle();
    }
    for (auto& client : clients_) {
      largest_buffer = std::max<uint64_t>(largest_buffer, client->buffered_bytes());
    }
  }

  std::mt19937_64 random_;
  WatchHub::Options options_;
  std::vector<Change> history_;
  std::set<Revision> compactions_;
  std::unique_ptr<Harness> harness_;
  std::vector<std::unique_ptr<CheckedClient>> clients_;
};

TEST(WatchHubRandomTest, EveryWatcherGetsExactlyWhatTheModelSays) {
  uint64_t events = 0, compacted = 0, progress = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    Scenario scenario(seed);
    scenario.Run(1'500);
    ASSERT_FALSE(HasFailure());
    events += scenario.events;
    compacted += scenario.compacted;
    progress += scenario.progress;
  }
  // The draw reached what it is for.
  EXPECT_GT(events, 500'000U);
  EXPECT_GT(compacted, 1'000U);
  EXPECT_GT(progress, 1'000U);
}

}  // namespace
}  // namespace jetd::watch
