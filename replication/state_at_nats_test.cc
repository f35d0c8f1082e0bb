// SPDX-License-Identifier: Apache-2.0
//
// States of a bucket on a real nats-server, and of its mirror.
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "jetstream/nats_log.h"
#include "jetstream/nats_test_server.h"
#include "jetstream/record.h"
#include "jetstream/silent_observer.h"
#include "jetstream/subject.h"
#include "replication/mirror_harness.h"
#include "replication/state_at.h"

namespace jetd::replication {
namespace {

using jetstream::NatsLog;
using jetstream::NatsTestServer;

constexpr char kBucket[] = "b";
constexpr char kMirror[] = "KV_b_mirror";

// Writes records where the bucket ends, or removes some, each time it is made.
class Script : public jetstream::SilentObserver {
 public:
  struct One {
    std::string subject, header, payload;
  };
  Script(const std::string& url, uint64_t first, std::vector<One> records,
         std::vector<uint64_t> removed = {})
      : log_(&loop_,
             {.endpoint = jetstream::RotateEndpoints({url}, {}), .stream = {.bucket = kBucket}}),
        first_(first),
        records_(std::move(records)),
        removed_(std::move(removed)) {
    loop_.Post(
        [this] { log_.Open(this, [](const absl::Status& why) { JETD_CHECK(false) << why; }); });
    loop_.Run();
    log_.Close();
  }
  void OnConnected(const jetstream::LogInfo& /*info*/) override {
    for (size_t i = 0; i < records_.size(); ++i) {
      const One& one = records_[i];
      log_.Append(StreamSeq(first_ + i),
                  {.subject = one.subject, .header = one.header, .payload = one.payload});
    }
    if (records_.empty()) Remove();
  }
  void OnAppended(StreamSeq seq) override {
    if (seq == StreamSeq(first_ + records_.size() - 1)) Remove();
  }

 private:
  void Remove() {
    if (removed_.empty()) return loop_.Stop();
    const StreamSeq seq(removed_.back());
    removed_.pop_back();
    log_.Delete(seq, [this](const absl::Status& status) {
      JETD_CHECK(status.ok()) << status;
      Remove();
    });
  }

  Loop loop_;
  NatsLog log_;
  const uint64_t first_;
  const std::vector<One> records_;
  std::vector<uint64_t> removed_;
};

Script::One TermRecord() {
  jetstream::TermRecord term;
  term.term = Term(1);
  term.incarnation = "00112233445566778899aabbccddeeff";
  return {jetstream::SubjectCodec(kBucket).TermSubject(),
          jetstream::EncodeHeader({.revision = Revision(1), .term = Term(1)}),
          jetstream::EncodeTerm(term)};
}
Script::One Put(const std::string& key, int64_t revision, int64_t create, int64_t version) {
  return {jetstream::SubjectCodec(kBucket).EncodeKey(key),
          jetstream::EncodeHeader({.revision = Revision(revision),
                                   .create_revision = Revision(create),
                                   .version = version,
                                   .term = Term(1)}),
          Cat(key, " ", revision)};
}
Script::One Compaction(int64_t revision, uint64_t bound) {
  return {jetstream::SubjectCodec(kBucket).CompactSubject(),
          jetstream::EncodeHeader({.revision = Revision(revision), .term = Term(1)}),
          jetstream::EncodeCompact({.revision = Revision(revision), .bound = StreamSeq(bound)})};
}

std::string Values(const absl::StatusOr<State>& state) {
  if (!state.ok()) return std::string(MessageOf(state.status()));
  std::string text;
  for (const auto& [key, value] : state->keys) CatTo(text, value.value, ", ");
  return text;
}

Point AtRevision(int64_t revision) {
  return {.kind = Point::Kind::kRevision, .revision = Revision(revision)};
}

TEST(StateAtNatsTest, ABucketAndItsMirror) {
  const auto server = NatsTestServer::StartFrom("JETD_NATS_SERVER");
  if (server == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER is not set";
  log::Init({.level = log::Level::kError});
  {
    const Script writes(server->url(), 1,
                        {TermRecord(), Put("a", 2, 2, 1), Put("a", 3, 2, 2), Put("b", 4, 4, 1)});
  }
  const StreamSource origin{.bucket = kBucket, .nats_urls = {server->url()}};
  StreamSource mirror = origin;
  mirror.stream = kMirror;
  EXPECT_EQ(MessageOf(ReadPoints(mirror).status()), "stream KV_b_mirror is not there");
  ASSERT_TRUE(MakeMirror(server->url(), kBucket, kMirror).ok());
  const auto caught_up = [&](int64_t revision) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (std::chrono::steady_clock::now() < end) {
      const auto points = ReadPoints(mirror);
      if (points.ok() && points->current == Revision(revision)) return true;
    }
    return false;
  };
  ASSERT_TRUE(caught_up(4));
  { const Script compacts(server->url(), 5, {Compaction(4, 4), Put("b", 5, 4, 2)}, {2}); }
  ASSERT_TRUE(caught_up(5));
  EXPECT_EQ(Values(ReadState(mirror, AtRevision(2))), "a 2, ");
  EXPECT_EQ(Values(ReadState(mirror, AtRevision(4))), "a 3, b 4, ");
  EXPECT_EQ(Values(ReadState(origin, AtRevision(4))), "a 3, b 4, ");
  EXPECT_EQ(Values(ReadState(origin, Point{})), "a 3, b 5, ");
  const std::string gone = Values(ReadState(origin, AtRevision(2)));
  EXPECT_TRUE(
      gone.starts_with("revision 2 cannot be read any more: of revisions 1 to 2 records "
                       "were removed by compaction (up to revision 4); what can: "
                       "revisions 3 to 5 ("))
      << gone;
  const auto at_origin = ReadPoints(origin);
  const auto at_mirror = ReadPoints(mirror);
  ASSERT_TRUE(at_origin.ok()) << at_origin.status();
  ASSERT_TRUE(at_mirror.ok()) << at_mirror.status();
  ASSERT_EQ(at_mirror->ranges.size(), 1U);
  EXPECT_EQ(at_mirror->ranges[0].first, Revision(1));
  ASSERT_EQ(at_origin->ranges.size(), 1U);
  EXPECT_EQ(at_origin->ranges[0].first, Revision(3));
  // Times are the origin's.
  EXPECT_EQ(at_mirror->last_ns, at_origin->last_ns);
  EXPECT_EQ(Values(ReadState(
                mirror, {.kind = Point::Kind::kTime, .time_ns = at_origin->ranges[0].first_ns})),
            "a 3, ");
  EXPECT_EQ(DigestOf(*ReadState(mirror, AtRevision(3))),
            DigestOf(*ReadState(origin, AtRevision(3))));
  // By another road to the same API.
  mirror.api_prefix = "$JS.API.";
  EXPECT_EQ(Values(ReadState(mirror, AtRevision(2))), "a 2, ");
}

}  // namespace
}  // namespace jetd::replication
