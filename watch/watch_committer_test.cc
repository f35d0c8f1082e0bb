// SPDX-License-Identifier: Apache-2.0
//
// The hub on a real committer and a memory log that loses its connection, refuses and is slow:
// watchers see each committed change once, in order, and nothing before it is committed.
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fake_executor.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "jetstream/memory_log.h"
#include "jetstream/memory_stream.h"
#include "revision/committer.h"
#include "watch/watch_hub.h"

namespace jetd::watch {
namespace {

using jetstream::MemoryLog;
using jetstream::MemoryStream;
using revision::Change;
using std::chrono::milliseconds;

// Keeps what a watch of everything got, and reads at once or not at all.
class Watching : public WatchHub::Sink {
 public:
  Watching(WatchHub* hub, const revision::Store* store, Revision start, uint64_t laziness)
      : store_(store), start_(start), laziness_(laziness), stream_(hub->OpenStream(this)) {
    stream_->Create({.key = "k", .range_end = "l", .start_revision = start, .prev_kv = true});
  }
  void Deliver(Response response) override {
    unwritten_ += response.size_bytes();
    ASSERT_FALSE(response.canceled);
    ASSERT_LE(response.revision, store_->committed());
    if (response.created && start_ == Revision{}) start_ = response.revision.Next();
    for (Change& event : response.events) {
      ASSERT_LE(event.kv->mod_revision(), store_->committed()) << "shown before it was committed";
      got.push_back(std::move(event));
    }
  }
  void Write(std::mt19937_64* random) {
    if ((*random)() % laziness_ == 0) stream_->Written(std::exchange(unwritten_, 0));
  }
  void Drain() {
    laziness_ = 1;
    std::mt19937_64 any;
    Write(&any);
  }
  void ExpectAllOf(const std::vector<Change>& history) const {
    size_t next = 0;
    for (const Change& change : history) {
      if (change.kv->mod_revision() < start_) continue;
      ASSERT_LT(next, got.size());
      ASSERT_EQ(got[next].kv->encoded(), change.kv->encoded());
      ASSERT_EQ(got[next].kv->mod(), change.kv->mod());
      ASSERT_EQ(static_cast<bool>(got[next].prev), static_cast<bool>(change.prev));
      if (change.prev) {
        ASSERT_EQ(got[next].prev->encoded(), change.prev->encoded());
      }
      ++next;
    }
    ASSERT_EQ(next, got.size());
  }

  std::vector<Change> got;

 private:
  const revision::Store* const store_;
  Revision start_;
  uint64_t laziness_;
  size_t unwritten_ = 0;
  std::unique_ptr<WatchHub::Stream> stream_;
};

class World {
 public:
  explicit World(uint64_t seed) : random_(seed), log_(&exec_, &stream_, Faults()) {
    committer_.AddListener(&hub_);
    committer_.Start([](const absl::Status& why) { ADD_FAILURE() << why; });
    exec_.Advance(milliseconds(100));
  }
  ~World() {
    watching_.clear();
    committer_.Stop();
    exec_.RunDeferred();
  }

  void Run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) Step();
    log_.Reconnect();
    exec_.Advance(milliseconds(3'000));
    EXPECT_TRUE(committer_.leading());
    std::vector<Change> history;
    ASSERT_TRUE(
        store_.History(Revision{2}, SIZE_MAX, [&](const Change& c) { history.push_back(c); }).ok());
    for (int i = 0; i < 200; ++i) {
      for (auto& watching : watching_) watching->Drain();
      exec_.Advance(milliseconds(1));
    }
    for (auto& watching : watching_) watching->ExpectAllOf(history);
    changes += history.size();
    breaks += committer_.counters().chain_breaks + committer_.counters().reconnects;
  }

  size_t changes = 0;
  uint64_t breaks = 0;

 private:
  MemoryLog::Options Faults() {
    MemoryLog::Options options;
    const auto delay = [this] { return std::chrono::nanoseconds(random_() % 3'000'000); };
    options.faults.request_delay = delay;
    options.faults.answer_delay = delay;
    options.faults.sync_delay = delay;
    options.faults.refuse = [this](StreamSeq) {
      return random_() % 60 == 0 ? MakeError(Errc::kTooManyRequests) : absl::OkStatus();
    };
    options.faults.fate = [this](StreamSeq) {
      return static_cast<jetstream::AppendFate>(random_() % 3);
    };
    return options;
  }
  void Write() {
    struct Request {
      std::vector<std::string> keys;
      revision::Op op;
    };
    auto request = std::make_shared<Request>();
    const uint64_t count = random_() % 3 == 0 ? 1 + random_() % 4 : 1;
    for (uint64_t i = 0; i < count; ++i) request->keys.push_back(Cat("k", i, "/", random_() % 5));
    revision::TxnOp txn;
    for (const std::string& key : request->keys) {
      if (random_() % 4 == 0) {
        txn.success.push_back({revision::DeleteOp{.keys = {key, {}}}});
      } else {
        txn.success.push_back({revision::PutOp{.key = key, .value = "some value"}});
      }
    }
    request->op.v = std::move(txn);
    committer_.Apply(&request->op, 100, [request](const absl::StatusOr<revision::OpResult>&) {});
  }
  void Step() {
    const uint64_t what = random_() % 100;
    if (what < 60) {
      Write();
    } else if (what < 64 && watching_.size() < 12) {
      const int64_t now = store_.committed().value();
      const Revision start{random_() % 2 == 0 ? 0 : 1 + static_cast<int64_t>(random_() % now)};
      watching_.push_back(std::make_unique<Watching>(&hub_, &store_, start, 1 + random_() % 30));
    } else if (what == 64) {
      log_.Disconnect();
    } else if (what < 69) {
      log_.Reconnect();
    } else {
      exec_.Advance(std::chrono::microseconds(random_() % 4'000));
    }
    if (random_() % 50 == 0) stream_.LandLate();
    for (auto& watching : watching_) watching->Write(&random_);
  }

  std::mt19937_64 random_;
  FakeExecutor exec_;
  MemoryStream stream_;
  MemoryLog log_;
  revision::Store store_;
  revision::Committer committer_{
      &exec_, &log_, &store_, {.member_id = 1, .member_name = "a", .incarnation = "i"}};
  WatchHub hub_{
      &exec_, &store_, {.stream_buffer_bytes = 2'000, .batch_bytes = 500, .catch_up_revisions = 7}};
  std::vector<std::unique_ptr<Watching>> watching_;
};

TEST(WatchCommitterTest, EachCommittedChangeOnceAndInOrder) {
  size_t changes = 0;
  uint64_t breaks = 0;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    World world(seed);
    world.Run(1'000);
    ASSERT_FALSE(HasFailure());
    changes += world.changes;
    breaks += world.breaks;
  }
  EXPECT_GT(changes, 20'000U);
  EXPECT_GT(breaks, 500U);
}

}  // namespace
}  // namespace jetd::watch
