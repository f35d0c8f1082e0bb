// SPDX-License-Identifier: Apache-2.0
#include "jetstream/group_sync.h"

#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/loop_runner.h"
#include "base/strings.h"
#include "base/testing/scratch_folder.h"
#include "gtest/gtest.h"
#include "jetstream/embedded_server.h"
#include "jetstream/nats_log.h"

namespace jetd::jetstream {
namespace {

namespace fs = std::filesystem;

// A server, the sync of its files and the log on it, as main puts them together.
class Store : public Log::Observer {
 public:
  Store(Loop* loop, const std::string& folder)
      : loop_(loop),
        server_(EmbeddedServer::Start({.program = std::getenv("JETD_NATS_SERVER"),
                                       .data_dir = folder,
                                       .min_restart_pause = std::chrono::milliseconds(10)})
                    .value()),
        sync_(loop, server_->StreamFolder("b")) {
    NatsLogOptions options;
    options.endpoint = [this] { return server_->endpoint(); };
    options.stream.bucket = "b";
    options.exclusive = true;
    options.durability = &sync_;
    options.min_minor_version = 15;
    // A server that stands still for a while with its disk keeps its connections.
    options.answer_timeout = std::chrono::seconds(60);
    log_ = std::make_unique<NatsLog>(loop, std::move(options));
    log_->Open(this, [this](const absl::Status& why) { fatal = why; });
  }
  ~Store() override {
    log_.reset();
    loop_ = nullptr;
  }

  Log& log() { return *log_; }
  EmbeddedServer& server() { return *server_; }
  GroupSync& sync() { return sync_; }

  void OnConnected(const LogInfo& i) override {
    info = i;
    connected = true;
    ++connections;
    durable = 0;
  }
  void OnDisconnected(const absl::Status&) override { connected = false; }
  void OnAppended(StreamSeq seq) override { appended = seq.value(); }
  void OnRefused(StreamSeq, const absl::Status& why) override { FAIL() << why; }
  void OnDurable(StreamSeq seq) override {
    EXPECT_LE(seq.value(), appended);
    EXPECT_GT(seq.value(), durable);
    durable = seq.value();
    ++syncs;
  }
  void OnForeignTerm() override {}

  LogInfo info;
  absl::Status fatal;
  bool connected = false;
  int connections = 0;
  int syncs = 0;
  uint64_t appended = 0;
  uint64_t durable = 0;

 private:
  Loop* loop_;
  std::unique_ptr<EmbeddedServer> server_;
  GroupSync sync_;
  std::unique_ptr<NatsLog> log_;
};

class GroupSyncTest : public testing::Test, protected LoopRunner {
 protected:
  void SetUp() override {
    const char* program = std::getenv("JETD_NATS_SERVER");
    if (program == nullptr || *program == '\0') {
      GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    }
  }

  std::string NewFolder(const std::string& name) {
    fs::create_directory(folder_ + "/" + name);
    return folder_ + "/" + name;
  }
  void Append(Store& store, uint64_t first, uint64_t count, size_t value_bytes) {
    const std::string value(value_bytes, 'v');
    for (uint64_t seq = first; seq < first + count; ++seq) {
      const std::string subject = Cat("$KV.b.k", seq);
      store.log().Append(StreamSeq(seq), {.subject = subject, .header = "h", .payload = value});
      if (seq % 50 == 0) {
        ASSERT_TRUE(RunUntil([&] { return store.appended + 10 > seq; }));
      }
    }
    ASSERT_TRUE(RunUntil([&] { return store.durable == first + count - 1; }));
  }
  // What a power cut would leave if everything that was synced, and nothing else, was there: the
  // blocks and the configuration without the cache. Of the running server `from`.
  void CopyAsAfterPowerCut(const std::string& from, const std::string& to) {
    fs::create_directories(to + "/nats");
    fs::copy(from + "/nats", to + "/nats", fs::copy_options::recursive);
    fs::remove(to + "/nats/jetstream/$G/streams/KV_b/msgs/index.db");
  }
  std::set<uint64_t> ReadAll(Store& store) {
    std::set<uint64_t> seqs;
    bool done = false;
    store.log().Read(
        {}, [&](const Record& r) { seqs.insert(r.seq.value()); },
        [&](const absl::StatusOr<StreamSeq>& last) {
          EXPECT_TRUE(last.ok()) << last.status();
          done = true;
        });
    EXPECT_TRUE(RunUntil([&] { return done; }));
    return seqs;
  }

  const ScratchFolder scratch_{ScratchFolder::kOnDisk};
  const std::string& folder_ = scratch_.path();
};

TEST_F(GroupSyncTest, OneSyncMakesManyAppendsDurable) {
  Store store(&loop_, NewFolder("a"));
  ASSERT_TRUE(RunUntil([&] { return store.connected; }));
  for (uint64_t seq = 1; seq <= 500; ++seq) {
    store.log().Append(StreamSeq(seq), {.subject = "$KV.b.k", .header = "h", .payload = "v"});
  }
  ASSERT_TRUE(RunUntil([&] { return store.durable == 500; }));
  EXPECT_EQ(store.appended, 500U);
  EXPECT_LT(store.syncs, 400);
}

TEST_F(GroupSyncTest, AcrossBlocksAndRestartsOfTheServer) {
  Store store(&loop_, NewFolder("a"));
  ASSERT_TRUE(RunUntil([&] { return store.connected; }));
  Append(store, 1, 200, 200 << 10);  // 40 MB: several blocks
  for (int round = 1; round <= 3; ++round) {
    kill(store.server().pid(), SIGKILL);
    ASSERT_TRUE(RunUntil([&] { return !store.connected; }));
    ASSERT_TRUE(RunUntil([&] { return store.connected; }));
    ASSERT_TRUE(store.connections == 1 + round);
    Append(store, 200 + (round - 1) * 100 + 1, 100, 100);
  }
  EXPECT_EQ(ReadAll(store).size(), 500U);
}

TEST_F(GroupSyncTest, WhatIsDurableIsInTheFiles) {
  const std::string a = NewFolder("a");
  const std::string b = NewFolder("b");
  auto store = std::make_unique<Store>(&loop_, a);
  ASSERT_TRUE(RunUntil([&] { return store->connected; }));
  Append(*store, 1, 120, 200 << 10);
  CopyAsAfterPowerCut(a, b);
  store = nullptr;
  Store after(&loop_, b);
  ASSERT_TRUE(RunUntil([&] { return after.connected; }));
  EXPECT_EQ(ReadAll(after).size(), 120U);
}

TEST_F(GroupSyncTest, DeletionsThatWereSyncedAreInTheFiles) {
  const std::string a = NewFolder("a");
  const std::string b = NewFolder("b");
  auto store = std::make_unique<Store>(&loop_, a);
  ASSERT_TRUE(RunUntil([&] { return store->connected; }));
  Append(*store, 1, 60, 200 << 10);
  Append(*store, 61, 60, 200 << 10);  // begins a newer file than that of record 60
  // All of the first blocks, some of the others, the newest record too.
  std::set<uint64_t> left;
  int deleting = 0;
  for (uint64_t seq = 1; seq <= 120; ++seq) {
    if (seq > 60 && seq % 3 != 0) {
      left.insert(seq);
      continue;
    }
    ++deleting;
    store->log().Delete(StreamSeq(seq), [&](const absl::Status& s) {
      EXPECT_TRUE(s.ok()) << s;
      --deleting;
    });
  }
  ASSERT_TRUE(RunUntil([&] { return deleting == 0; }));
  std::optional<absl::Status> synced;
  store->log().SyncDeletes([&](const absl::Status& s) { synced = s; });
  ASSERT_TRUE(RunUntil([&] { return synced.has_value(); }));
  EXPECT_TRUE(synced->ok());
  CopyAsAfterPowerCut(a, b);
  store = nullptr;
  Store after(&loop_, b);
  ASSERT_TRUE(RunUntil([&] { return after.connected; }));
  // In the newest file nothing is deleted yet.
  const std::set<uint64_t> found = ReadAll(after);
  for (uint64_t seq = 1; seq <= 60; ++seq) EXPECT_FALSE(found.contains(seq)) << seq;
  EXPECT_TRUE(std::includes(found.begin(), found.end(), left.begin(), left.end()));
  StreamSeq last;
  after.log().Barrier([&](absl::StatusOr<StreamSeq> l) { last = l.value(); });
  ASSERT_TRUE(RunUntil([&] { return last != StreamSeq(); }));
  EXPECT_EQ(last, StreamSeq(120));
}

// nats-server, when it reads its files, forgets tombstones that lie in the file of what they
// delete.
TEST_F(GroupSyncTest, NothingComesBackAfterTwoUncleanEnds) {
  const std::string a = NewFolder("a");
  auto store = std::make_unique<Store>(&loop_, a);
  ASSERT_TRUE(RunUntil([&] { return store->connected; }));
  // Most of the first file, while it is the newest.
  Append(*store, 1, 35, 100 << 10);
  int deleting = 0;
  for (uint64_t seq = 2; seq <= 34; ++seq) {
    ++deleting;
    store->log().Delete(StreamSeq(seq), [&](const absl::Status& s) {
      EXPECT_TRUE(s.ok()) << s;
      --deleting;
    });
  }
  ASSERT_TRUE(RunUntil([&] { return deleting == 0; }));
  // More files begin, and the deletions are sent.
  Append(*store, 36, 100, 200 << 10);
  uint64_t messages = 0;
  bool asked = false;
  ASSERT_TRUE(RunUntil([&] {
    if (!asked) {
      asked = true;
      store->log().State([&](absl::StatusOr<StreamState> state) {
        messages = state.value().messages;
        asked = false;
      });
    }
    return messages == 102;
  }));
  std::optional<absl::Status> synced;
  store->log().SyncDeletes([&](const absl::Status& s) { synced = s; });
  ASSERT_TRUE(RunUntil([&] { return synced.has_value(); }));
  std::string from = a;
  for (const char* name : {"b", "c"}) {
    const std::string to = NewFolder(name);
    CopyAsAfterPowerCut(from, to);
    store = nullptr;
    store = std::make_unique<Store>(&loop_, to);
    ASSERT_TRUE(RunUntil([&] { return store->connected; }));
    const std::set<uint64_t> found = ReadAll(*store);
    EXPECT_EQ(found.size(), 102U);
    EXPECT_FALSE(found.contains(2));
    EXPECT_FALSE(found.contains(34));
    from = to;
  }
}

TEST_F(GroupSyncTest, RecordsThatTheServerForgotAreNotCoveredByANewStream) {
  const std::string a = NewFolder("a");
  auto store = std::make_unique<Store>(&loop_, a);
  ASSERT_TRUE(RunUntil([&] { return store->connected; }));
  EXPECT_TRUE(store->sync().MayCreate().ok());
  Append(*store, 1, 5, 100);
  EXPECT_FALSE(store->sync().MayCreate().ok());
  store = nullptr;
  // As a power cut can leave it.
  fs::resize_file(a + "/nats/jetstream/$G/streams/KV_b/meta.inf", 0);
  Store again(&loop_, a);
  ASSERT_TRUE(RunUntil([&] { return !again.fatal.ok() || again.connected; }));
  EXPECT_TRUE(absl::IsFailedPrecondition(again.fatal)) << again.fatal;
  EXPECT_TRUE(fs::exists(a + "/nats/jetstream/$G/streams/KV_b/msgs/1.blk"));
}

// Power went while the first stream was made, and left its configuration empty or without its check
// sum.
TEST_F(GroupSyncTest, AStreamThatWasNeverMadeWholeIsMadeAnew) {
  for (const bool with_text : {false, true}) {
    const std::string a = NewFolder(with_text ? "a" : "b");
    const std::string stream = a + "/nats/jetstream/$G/streams/KV_b";
    fs::create_directories(stream + "/msgs");
    std::ofstream(stream + "/meta.inf") << (with_text ? "{\"name\":\"KV_b\"}" : "");
    std::ofstream(stream + "/msgs/1.blk") << "";
    for (uint64_t start = 0; start < 3; ++start) {
      Store store(&loop_, a);
      ASSERT_TRUE(RunUntil([&] { return store.connected || !store.fatal.ok(); }));
      ASSERT_TRUE(store.fatal.ok()) << store.fatal;
      EXPECT_EQ(ReadAll(store).size(), 10 * start);
      Append(store, 10 * start + 1, 10, 10);
    }
  }
}

TEST_F(GroupSyncTest, SaysWhatTheFileSystemCosts) {
  Store store(&loop_, NewFolder("a"));
  ASSERT_TRUE(RunUntil([&] { return store.connected; }));
  EXPECT_EQ(store.info.durability_caveat, store.sync().Caveat());
}

}  // namespace
}  // namespace jetd::jetstream
