// SPDX-License-Identifier: Apache-2.0
#include "jetstream/stream_survey.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/loop_runner.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "jetstream/nats_connection.h"
#include "jetstream/nats_log.h"
#include "jetstream/nats_test_server.h"
#include "jetstream/silent_observer.h"

namespace jetd::jetstream {
namespace {

struct Notes : SilentObserver {
  void OnConnected(const LogInfo& /*info*/) override { connected = true; }
  void OnAppended(StreamSeq seq) override { appended = seq; }
  bool connected = false;
  StreamSeq appended;
};

// A small stream of a real nats-server, 1 to 8 without 3 and 5, and what is said of it.
class StreamSurveyTest : public testing::Test, protected LoopRunner {
 protected:
  void SetUp() override {
    server_ = NatsTestServer::StartFrom("JETD_NATS_SERVER");
    if (server_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
    NatsLogOptions options;
    options.endpoint = RotateEndpoints({server_->url()}, {});
    options.stream.bucket = "b";
    NatsLog log(&loop_, std::move(options));
    Notes notes;
    log.Open(&notes, [](const absl::Status& why) { FAIL() << why; });
    ASSERT_TRUE(RunUntil([&] { return notes.connected; }));
    for (uint64_t seq = 1; seq <= 8; ++seq) {
      log.Append(StreamSeq(seq), {.subject = Cat("$KV.b.k", seq),
                                  .header = Cat("header ", seq),
                                  .is_delete = seq % 4 == 0,
                                  .payload = Cat("value ", seq)});
    }
    ASSERT_TRUE(RunUntil([&] { return notes.appended == StreamSeq(8); }));
    int done = 0;
    for (uint64_t seq : {3, 5}) {
      log.Delete(StreamSeq(seq), [&](const absl::Status& status) { done += status.ok() ? 1 : 0; });
    }
    ASSERT_TRUE(RunUntil([&] { return done == 2; }));
    log.State([&](const absl::StatusOr<StreamState>& state) {
      claim_.state = state.value();
      ++done;
    });
    ASSERT_TRUE(RunUntil([&] { return done == 3; }));
    claim_.deleted = {StreamSeq(3), StreamSeq(5)};
    place_ = {.folder = server_->folder() + "/js/jetstream/$G/streams/KV_b",
              .stream = "KV_b",
              .prefix = "$KV.b."};
    std::ifstream file(Block(), std::ios::binary);
    bytes_ = std::string(std::istreambuf_iterator<char>(file), {});
    server_->Kill();
  }

  [[nodiscard]] std::string Block() const { return place_.folder + "/msgs/1.blk"; }
  void Write(const std::string& bytes) const {
    std::ofstream(Block(), std::ios::binary | std::ios::trunc) << bytes;
  }
  // In the file; the next call puts it right again.
  void Flip(size_t bit) {
    std::fstream file(Block(), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(bit / 8));
    flipped_ = !flipped_;
    file.put(static_cast<char>(bytes_[bit / 8] ^ (flipped_ ? 1 << (bit % 8) : 0)));
    JETD_CHECK(file.good()) << Block();
  }
  [[nodiscard]] auto Look(const StreamClaim& claim) const {
    return SurveyStream(place_, claim, nullptr, stop_);
  }
  [[nodiscard]] bool Confirms(const StreamClaim& claim) const { return Look(claim).ok(); }

  std::unique_ptr<NatsTestServer> server_;
  StreamPlace place_;
  StreamClaim claim_;
  std::string bytes_;  // of the only block
  bool flipped_ = false;
  std::atomic<bool> stop_{false};
};

TEST_F(StreamSurveyTest, ConfirmsWhatIsThere) {
  const auto survey = Look(claim_);
  ASSERT_TRUE(survey.ok()) << survey.status();
  EXPECT_EQ((*survey)->dead, (std::vector{StreamSeq(3), StreamSeq(5)}));
  LoadedBlock block;
  ASSERT_TRUE(LoadBlock(**survey, 0, {.from = StreamSeq(2)}, &block).ok());
  std::string seen;
  for (const Record& record : block.records) {
    CatTo(seen, record.seq.value(), record.is_delete ? "-" : "+", record.payload, " ");
    EXPECT_EQ(record.subject, Cat("$KV.b.k", record.seq.value()));
    EXPECT_EQ(record.header, Cat("header ", record.seq.value()));
  }
  EXPECT_EQ(seen, "2+value 2 4-value 4 6+value 6 7+value 7 8-value 8 ");
  ASSERT_TRUE(LoadBlock(**survey, 0, {.subjects = {"$KV.b.k3", "$KV.b.k6"}}, &block).ok());
  EXPECT_EQ(block.records.size(), 1U);
}

TEST_F(StreamSurveyTest, ServersWordIsTheLast) {
  for (int what = 0; what < 7; ++what) {
    StreamClaim claim = claim_;
    StreamState& state = claim.state;
    if (what == 0) ++state.messages;
    if (what == 1) ++state.bytes;
    if (what == 2) --state.bytes;
    if (what == 3) state.first = StreamSeq(2);
    if (what == 4) state.last = StreamSeq(7);
    if (what == 5) claim.deleted = {StreamSeq(3), StreamSeq(6)};
    if (what == 6) claim.deleted = {StreamSeq(3)};
    EXPECT_FALSE(Confirms(claim)) << what;
  }
  StreamClaim unnamed = claim_;
  unnamed.deleted.reset();
  EXPECT_TRUE(Confirms(unnamed));
  unnamed.state.last = StreamSeq(9);  // one that was deleted, and its file rewritten
  EXPECT_TRUE(Confirms(unnamed));
}

// Not one bit of a file may be another.
TEST_F(StreamSurveyTest, EveryFlippedBitIsNoticed) {
  for (size_t i = 0; i < 8 * bytes_.size(); ++i) {
    Flip(i);
    ASSERT_FALSE(Confirms(claim_)) << "bit " << i;
    Flip(i);
  }
  EXPECT_TRUE(Confirms(claim_));
}

TEST_F(StreamSurveyTest, EveryCutIsNoticed) {
  for (size_t size = 0; size < bytes_.size(); ++size) {
    Write(bytes_.substr(0, size));
    ASSERT_FALSE(Confirms(claim_)) << size;
  }
  Write(bytes_ + "more");
  EXPECT_FALSE(Confirms(claim_));
}

TEST_F(StreamSurveyTest, ARecordThatIsThereTwiceIsNoticed) {
  Write(bytes_ + bytes_);
  StreamClaim claim = claim_;
  claim.state.messages *= 2;
  claim.state.bytes *= 2;
  EXPECT_FALSE(Confirms(claim));
  EXPECT_NE(Look(claim).status().message().find("sequence 1 behind 8"), std::string::npos);
}

TEST_F(StreamSurveyTest, LoadsNothingThatHasChangedSince) {
  const auto survey = Look(claim_);
  ASSERT_TRUE(survey.ok()) << survey.status();
  LoadedBlock block;
  for (size_t i = 0; i < 8 * bytes_.size(); i += 3) {
    Flip(i);
    ASSERT_FALSE(LoadBlock(**survey, 0, {}, &block).ok()) << "bit " << i;
    Flip(i);
  }
  Write(bytes_.substr(0, bytes_.size() - 1));
  EXPECT_FALSE(LoadBlock(**survey, 0, {}, &block).ok());
  Write(bytes_ + "what was appended since");
  EXPECT_TRUE(LoadBlock(**survey, 0, {}, &block).ok());
  std::filesystem::remove(Block());
  EXPECT_FALSE(LoadBlock(**survey, 0, {}, &block).ok());
}

// What was looked at before counts only for the very file that is there when it is asked for.
TEST_F(StreamSurveyTest, AnEarlyLookIsTakenForTheSameFileOnly) {
  const auto stamp = [this] {
    struct stat info {};
    JETD_CHECK(stat(Block().c_str(), &info) == 0);
    return BlockLook::Stamp{
        .inode = info.st_ino,
        .bytes = static_cast<size_t>(info.st_size),
        .changed_ns = info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec};
  };
  const BlockLook::Stamp now = stamp();
  for (int what = 0; what < 5; ++what) {
    EarlyLook early(place_);
    BlockLook::Stamp asked = now;
    if (what == 1) ++asked.inode;
    if (what == 2) ++asked.bytes;
    if (what == 3) ++asked.changed_ns;
    const auto look = early.Take(what == 4 ? 2 : 1, asked);
    EXPECT_EQ(look != nullptr, what == 0) << what;
    if (look == nullptr) continue;
    EXPECT_EQ(look->messages.size(), 8U);
  }
  EarlyLook nowhere({.folder = place_.folder + "/nowhere"});
  EXPECT_EQ(nowhere.Take(1, now), nullptr);
}

TEST_F(StreamSurveyTest, AnEarlyLookSparesTheSurveyNothingButTheReading) {
  const auto survey = [this](EarlyLook* early) {
    return SurveyStream(place_, claim_, early, stop_);
  };
  EarlyLook same(place_);
  EXPECT_TRUE(survey(&same).ok());
  // Torn when it was looked at, whole when it counts; and the other way round.
  Write(bytes_.substr(0, bytes_.size() - 5));
  EarlyLook torn(place_);
  (void)torn.Take(2, {});  // it has looked
  Write(bytes_);
  EXPECT_TRUE(survey(&torn).ok());
  EarlyLook whole(place_);
  (void)whole.Take(2, {});
  Write(bytes_.substr(0, bytes_.size() - 5));
  EXPECT_FALSE(survey(&whole).ok());
  // A file that changes without a trace is found when it is read.
  Write(bytes_);
  EarlyLook fooled(place_);
  struct stat info {};
  (void)fooled.Take(2, {});
  ASSERT_EQ(stat(Block().c_str(), &info), 0);
  Flip(8 * bytes_.size() / 2);
  const timespec times[2] = {info.st_atim, info.st_mtim};
  ASSERT_EQ(utimensat(AT_FDCWD, Block().c_str(), times, 0), 0);
  const auto believed = survey(&fooled);
  ASSERT_TRUE(believed.ok()) << believed.status();
  LoadedBlock block;
  EXPECT_FALSE(LoadBlock(**believed, 0, {}, &block).ok());
}

TEST_F(StreamSurveyTest, KnowsWhichBlocksAControlReadingNeeds) {
  const auto survey = Look(claim_);
  ASSERT_TRUE(survey.ok()) << survey.status();
  EXPECT_TRUE((*survey)->MayHold(0, {}));
  EXPECT_TRUE((*survey)->MayHold(0, {.from = StreamSeq(8)}));
  EXPECT_FALSE((*survey)->MayHold(0, {.from = StreamSeq(9)}));
  EXPECT_FALSE((*survey)->MayHold(0, {.subjects = {"$KV.b._jetd.term"}}));
  EXPECT_TRUE((*survey)->MayHold(0, {.subjects = {"$KV.b._jetd.term", "$KV.b.k1"}}));
  EXPECT_TRUE((*survey)->MayHold(0, {.subjects = {"$KV.b._jetd.lease.1"}}));
}

TEST_F(StreamSurveyTest, EndsWhenNobodyNeedsIt) {
  stop_ = true;
  EXPECT_TRUE(absl::IsCancelled(Look(claim_).status()));
}

}  // namespace
}  // namespace jetd::jetstream
