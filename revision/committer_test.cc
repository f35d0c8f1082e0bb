// SPDX-License-Identifier: Apache-2.0
#include "revision/committer.h"

#include <string>
#include <vector>

#include "base/error.h"
#include "gtest/gtest.h"
#include "jetstream/record.h"
#include "jetstream/subject.h"
#include "revision/committer_harness.h"

namespace jetd::revision {
namespace {

using jetstream::MemoryLog;
using jetstream::MemoryStream;
using Leg = MemoryLog::Leg;
using std::chrono::milliseconds;
using std::chrono::seconds;

class CommitterTest : public ::testing::Test {
 protected:
  void Settle() {
    exec_.RunDeferred();
    exec_.Advance(milliseconds(200));
  }
  static bool Ok(const Member::PendingOp& op) { return op->answer.has_value() && op->answer->ok(); }
  static Errc ErrcOf(const Member::PendingOp& op) {
    return op->answer ? GetErrc(op->answer->status()) : Errc::kNone;
  }

  FakeExecutor exec_;
  MemoryStream stream_;
};

TEST_F(CommitterTest, LeadsAnEmptyStreamAtRevisionOne) {
  Member member(&exec_, &stream_, "a");
  EXPECT_TRUE(member.committer->leading());
  EXPECT_EQ(member.recorder.leading, Term(1));
  EXPECT_EQ(member.store.committed(), Revision(1));
  EXPECT_EQ(stream_.last(), StreamSeq(1)) << "one term record";
}

TEST_F(CommitterTest, AnswersWhenTheRecordIsDurableAndNotBefore) {
  Member member(&exec_, &stream_, "a");
  member.log.Hold(Leg::kSync);
  auto put = member.Put("k", "v");
  Settle();
  EXPECT_FALSE(put->answer.has_value());
  EXPECT_EQ(member.store.committed(), Revision(1));
  EXPECT_TRUE(member.recorder.commits.empty());
  member.log.Release(Leg::kSync);
  Settle();
  ASSERT_TRUE(Ok(put));
  EXPECT_EQ(RevisionOf(put), Revision(2));
  ASSERT_EQ(member.recorder.commits.size(), 1U);
  EXPECT_EQ(member.recorder.commits[0].keys, std::vector<std::string>{"k"});
}

TEST_F(CommitterTest, ARangeOfManyKeysIsSortedByItsTargetWithoutAnOrder) {
  Member member(&exec_, &stream_, "a");
  auto b = member.Put("b", "");
  auto a = member.Put("a", "");
  Settle();
  const auto read = member.Range({.keys = {"a", "z"}, .sort_target = SortTarget::kCreate});
  ASSERT_TRUE(read.has_value() && read->ok());
  ASSERT_EQ((*read)->kvs.size(), 2U);
  EXPECT_EQ((*read)->kvs[0]->key(), "b");
}

TEST_F(CommitterTest, LaterRequestsSeeWhatIsInFlight) {
  Member member(&exec_, &stream_, "a");
  member.log.Hold(Leg::kAnswer);
  auto create = member.Update("k", Revision(0), "1");
  auto update = member.Update("k", Revision(2), "2");
  auto stale = member.Update("k", Revision(2), "3");
  Settle();
  EXPECT_FALSE(create->answer || update->answer || stale->answer);
  member.log.Release(Leg::kAnswer);
  Settle();
  ASSERT_TRUE(Ok(create) && Ok(update) && Ok(stale));
  EXPECT_TRUE(std::get<TxnResult>((**update->answer).v).succeeded);
  const auto& failed = std::get<TxnResult>((**stale->answer).v);
  EXPECT_FALSE(failed.succeeded);
  EXPECT_EQ(failed.revision, Revision(3));
  EXPECT_EQ(std::get<RangeResult>(failed.responses[0].v).kvs[0]->value(), "2");
}

TEST_F(CommitterTest, AGroupIsCommittedWhole) {
  Member member(&exec_, &stream_, "a");
  member.log.Hold(Leg::kAnswer);
  auto many = member.PutMany("g", 3, "v");
  Settle();
  member.log.Pass(Leg::kAnswer, 2);
  Settle();
  EXPECT_FALSE(many->answer.has_value());
  EXPECT_EQ(member.store.committed(), Revision(1));
  member.log.Release(Leg::kAnswer);
  Settle();
  ASSERT_TRUE(Ok(many));
  ASSERT_EQ(member.recorder.commits.size(), 1U);
  EXPECT_EQ(member.recorder.commits[0].keys.size(), 3U);
}

TEST_F(CommitterTest, RestartFindsEverything) {
  Revision before;
  {
    Member member(&exec_, &stream_, "a");
    member.committer->GrantLease(LeaseId(77), 60,
                                 [](const auto& lease) { EXPECT_TRUE(lease.ok()); });
    for (int i = 0; i < 20; ++i) member.Put("k" + std::to_string(i), "v", LeaseId(77));
    member.PutMany("g", 4, "w");
    member.Delete("k3");
    Settle();
    before = member.store.committed();
    EXPECT_EQ(before, Revision(23));
  }
  Member again(&exec_, &stream_, "b");
  Settle();
  EXPECT_EQ(again.store.committed(), before);
  EXPECT_EQ(again.recorder.leading, Term(2));
  EXPECT_EQ(again.Get("k7"), "v");
  EXPECT_EQ(again.Get("k3"), "");
  EXPECT_EQ(again.Get("g/2"), "w");
  EXPECT_EQ(again.store.LeaseKeys(LeaseId(77)).size(), 19U);
  auto put = again.Put("after", "x");
  Settle();
  EXPECT_EQ(RevisionOf(put), before.Next());
}

TEST_F(CommitterTest, ReadsShareOneBarrier) {
  Member member(&exec_, &stream_, "a");
  Settle();
  const uint64_t before = member.committer->counters().barriers_sent;
  RangeOp op{.keys = {"k", {}}};
  int answered = 0;
  for (int i = 0; i < 50; ++i) {
    member.committer->Range(&op, [&](const absl::StatusOr<RangeResult>& r) {
      EXPECT_TRUE(r.ok());
      ++answered;
    });
  }
  EXPECT_EQ(answered, 0) << "never from inside the call";
  Settle();
  EXPECT_EQ(answered, 50);
  EXPECT_EQ(member.committer->counters().barriers_sent, before + 1);
}

TEST_F(CommitterTest, AWriteIsABarrierForFree) {
  Member member(&exec_, &stream_, "a");
  Settle();
  const uint64_t before = member.committer->counters().barriers_sent;
  RangeOp op{.keys = {"k", {}}};
  bool answered = false;
  member.committer->Range(&op, [&](const auto& r) { answered = r.ok(); });
  auto put = member.Put("k", "v");
  Settle();
  EXPECT_TRUE(answered);
  EXPECT_TRUE(Ok(put));
  EXPECT_EQ(member.committer->counters().barriers_sent, before);
}

// Where nobody else can write, everything answered is committed here.
TEST_F(CommitterTest, OnALogOfItsOwnAReadAsksNobody) {
  MemoryLog::Options options;
  options.exclusive = true;
  Member member(&exec_, &stream_, "a", options);
  Settle();
  member.Put("k", "v1");
  Settle();
  const uint64_t before = member.committer->counters().barriers_sent;
  member.log.Hold(Leg::kAnswer);
  auto write = member.Put("k", "v2");
  Settle();
  EXPECT_EQ(member.Get("k"), "v1") << "what is not answered is not shown";
  auto update = member.Update("k", Revision(2), "v3");
  Settle();
  EXPECT_FALSE(update->answer.has_value()) << "judged on v2, which is not committed";
  member.log.Release(Leg::kAnswer);
  Settle();
  EXPECT_TRUE(Ok(write));
  ASSERT_TRUE(Ok(update));
  EXPECT_EQ(RevisionOf(update), Revision(3)) << "it changed nothing";
  EXPECT_EQ(member.Get("k"), "v2");
  EXPECT_EQ(member.committer->counters().barriers_sent, before);
}

TEST_F(CommitterTest, OnALogOfItsOwnAReadWaitsWhileItIsAway) {
  MemoryLog::Options options;
  options.exclusive = true;
  Member member(&exec_, &stream_, "a", options);
  Settle();
  member.Put("k", "v");
  Settle();
  member.log.Disconnect();
  exec_.RunDeferred();
  RangeOp op{.keys = {"k", {}}};
  bool answered = false;
  member.committer->Range(&op, [&](const auto& r) { answered = r.ok(); });
  exec_.RunDeferred();
  EXPECT_FALSE(answered);
  member.log.Reconnect();
  Settle();
  EXPECT_TRUE(answered);
}

// A stream leader that lost its followers answers refusals by itself, so on a replicated stream a
// read waits for a record of its own (or of somebody's write) to be acknowledged.
TEST_F(CommitterTest, OnAReplicatedStreamABarrierIsARecord) {
  MemoryLog::Options options;
  options.replicas = 3;
  Member member(&exec_, &stream_, "a", options);
  member.Put("k", "v");
  Settle();
  const StreamSeq before = stream_.last();
  member.log.Hold(Leg::kAnswer);
  RangeOp op{.keys = {"k", {}}};
  int answered = 0;
  for (int i = 0; i < 10; ++i) {
    member.committer->Range(&op, [&](const absl::StatusOr<RangeResult>& r) {
      EXPECT_TRUE(r.ok());
      ++answered;
    });
  }
  Settle();
  EXPECT_EQ(answered, 0);
  EXPECT_EQ(stream_.last(), before.Next()) << "one record for all";
  member.log.Release(Leg::kAnswer);
  Settle();
  EXPECT_EQ(answered, 10);
  const Revision revision = member.store.committed();
  for (size_t i = 0; i < 2 * limits::kBarrierBatch; ++i) EXPECT_EQ(member.Get("k"), "v");
  exec_.Advance(seconds(1));
  EXPECT_LT(stream_.State().messages, limits::kBarrierBatch) << "they are removed in batches";
  EXPECT_EQ(member.store.committed(), revision) << "a barrier is no transaction";
  Member again(&exec_, &stream_, "b", options);
  exec_.Advance(seconds(1));
  EXPECT_EQ(stream_.State().messages, 3U) << "left: the key and two term records";
}

// A range over more keys than one step visits is of one revision, whatever is written meanwhile,
// and others get their turn in between.
TEST_F(CommitterTest, ALongRangeIsOfOneRevision) {
  Member member(&exec_, &stream_, "a");
  const int n = static_cast<int>(limits::kScanStepKeys) + 500;
  for (int i = 0; i < n; ++i) {
    member.Put("k" + std::to_string(100'000 + i), "old");
    if (i % 500 == 0) exec_.Advance(milliseconds(1));
  }
  Settle();
  ASSERT_EQ(member.store.stats().keys, static_cast<size_t>(n));
  const Revision before = member.store.committed();
  std::optional<RangeResult> result;
  RangeOp op{.keys = {"k", "l"}};
  member.committer->Range(&op, [&](absl::StatusOr<RangeResult> r) { result = *std::move(r); });
  exec_.RunDeferred();
  EXPECT_FALSE(result.has_value()) << "it takes more than one step";
  auto put = member.Put("k" + std::to_string(100'000 + n - 1), "new");
  auto added = member.Put("kz", "new");
  Settle();
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->revision, before);
  EXPECT_EQ(result->count, n);
  ASSERT_EQ(result->kvs.size(), static_cast<size_t>(n));
  EXPECT_EQ(result->kvs.back()->value(), "old");
  RangeOp count{.keys = {"k", "l"}, .count_only = true};
  EXPECT_EQ((*member.Range(count))->count, n + 1);
}

TEST_F(CommitterTest, CompactionRemovesWhatNobodyCanSee) {
  {
    Member member(&exec_, &stream_, "a");
    for (int i = 0; i < 10; ++i) member.Put("k", std::to_string(i));
    member.Delete("k");
    member.Put("other", "o");
    Settle();
    std::optional<absl::StatusOr<Revision>> future;
    member.committer->Compact(Revision(99), Committer::Wait::kLogical,
                              [&](auto r) { future = std::move(r); });
    std::optional<absl::StatusOr<Revision>> done;
    member.committer->Compact(Revision(13), Committer::Wait::kPhysical,
                              [&](auto r) { done = std::move(r); });
    exec_.Advance(seconds(2));
    ASSERT_TRUE(future.has_value());
    EXPECT_EQ(GetErrc(future->status()), Errc::kFutureRevision);
    ASSERT_TRUE(done.has_value());
    EXPECT_TRUE(done->ok());
    EXPECT_EQ(member.recorder.compacted, Revision(13));
    // Left: the term record, "other", the compaction, and what hides "k".
    EXPECT_EQ(stream_.State().messages, 4U);
    auto below = member.Range({.keys = {"k", {}}, .revision = Revision(5)});
    EXPECT_EQ(GetErrc(below->status()), Errc::kCompacted);
  }
  Member again(&exec_, &stream_, "b");
  Settle();
  EXPECT_EQ(again.store.committed(), Revision(13));
  EXPECT_EQ(again.store.compacted(), Revision(13));
  EXPECT_EQ(again.Get("k"), "");
  EXPECT_EQ(again.Get("other"), "o");
}

// nats-server may bring back records whose deletion it answered long ago.
TEST_F(CommitterTest, RecordsThatComeBackBringNoKeyBack) {
  jetstream::MemoryStream stream({.remember_deleted = true});
  {
    Member member(&exec_, &stream, "a");
    for (const char* key : {"gone", "again", "twice"}) member.Put(key, "1");
    for (const char* key : {"gone", "again", "twice"}) member.Put(key, "2");
    member.Delete("", std::string(1, '\0'));
    member.Put("again", "3");
    member.Put("twice", "3");
    member.Delete("twice");
    member.Put("other", "o");
    Settle();
    for (const int64_t revision : {9, 11, 12}) {
      std::optional<absl::StatusOr<Revision>> done;
      member.committer->Compact(Revision(revision), Committer::Wait::kPhysical,
                                [&](auto r) { done = std::move(r); });
      exec_.Advance(seconds(2));
      ASSERT_TRUE(done.has_value() && done->ok());
    }
  }
  // The values, not what hid them.
  stream.ReviveDeleted([](const auto& record) { return !record.is_delete; });
  Member again(&exec_, &stream, "b");
  Settle();
  EXPECT_EQ(again.Get("gone"), "");
  EXPECT_EQ(again.Get("again"), "3");
  EXPECT_EQ(again.Get("twice"), "");
  EXPECT_EQ(again.Get("other"), "o");
  EXPECT_EQ(again.store.stats().keys, 2U);
}

// Keys and leases that come and go leave nothing behind for ever: once a list of what lives is
// written, the markers go too, and what comes back is known by the list.
TEST_F(CommitterTest, MarkersGoOnceAListIsWritten) {
  jetstream::MemoryStream stream({.remember_deleted = true});
  auto compact = [&](Member& member) {
    std::optional<absl::StatusOr<Revision>> done;
    member.committer->Compact(member.store.committed(), Committer::Wait::kPhysical,
                              [&](auto r) { done = std::move(r); });
    exec_.Advance(seconds(2));
    ASSERT_TRUE(done.has_value() && done->ok());
  };
  {
    Member member(&exec_, &stream, "a");
    member.Put("stays", "s");
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < 50; ++i) {
        const std::string name = std::to_string(round * 100 + i);
        member.Put("event/" + name, "e");
        member.committer->GrantLease(LeaseId(1 + round * 100 + i), 3600, [](const auto&) {});
        Settle();
        member.Delete("event/" + name);
        member.committer->RevokeLease(LeaseId(1 + round * 100 + i), [](const auto&) {});
        Settle();
      }
      member.Put("last", std::to_string(round));
      Settle();
      compact(member);
      // The two keys, term, compaction, list, and what could still be asked for when it was made.
      EXPECT_LE(stream.State().messages, 8U);
    }
  }
  stream.ReviveDeleted([](const auto& record) { return !record.is_delete; });
  EXPECT_GT(stream.State().messages, 300U);
  Member again(&exec_, &stream, "b");
  exec_.Advance(seconds(2));
  EXPECT_EQ(again.store.stats().keys, 2U);
  EXPECT_EQ(again.store.lease_count(), 0U);
  EXPECT_EQ(again.Get("stays"), "s");
  EXPECT_EQ(again.Get("last"), "2");
  EXPECT_EQ(stream.State().messages, 10U) << "left of them: lists and compactions, 3 each";
  // And lists by this one follow those before.
  again.Put("event/7", "e");
  again.Delete("event/7");
  again.Put("last", "3");
  Settle();
  EXPECT_EQ(again.Get("event/7"), "");
  compact(again);
  EXPECT_LE(stream.State().messages, 8U);
}

// The chain breaks while a list is being written: the markers wait for the next one.
TEST_F(CommitterTest, AListThatIsNotWrittenFreesNothing) {
  Member member(&exec_, &stream_, "a");
  for (int i = 0; i < 10; ++i) {
    member.Put("k" + std::to_string(i), "v");
    member.Delete("k" + std::to_string(i));
  }
  member.Put("last", "1");
  Settle();
  // The compaction is answered, and what is sent after it is lost.
  member.committer->Compact(member.store.committed(), Committer::Wait::kLogical,
                            [&](const auto&) { member.log.Disconnect(); });
  exec_.Advance(seconds(1));
  EXPECT_GE(stream_.State().messages, 12U) << "ten markers, a key, a term";
  member.log.Reconnect();
  member.Put("last", "2");
  Settle();
  member.committer->Compact(member.store.committed(), Committer::Wait::kLogical,
                            [](const auto&) {});
  exec_.Advance(seconds(2));
  EXPECT_LE(stream_.State().messages, 6U);
}

TEST_F(CommitterTest, LeasesTakeTheirKeysAlongInOneRevision) {
  Member member(&exec_, &stream_, "a");
  std::optional<LeaseId> id;
  member.committer->GrantLease(LeaseId(0), 30, [&](const auto& lease) { id = lease->id; });
  Settle();
  ASSERT_TRUE(id.has_value());
  EXPECT_GT(id->value(), 0);
  member.Put("a", "1", *id);
  member.Put("b", "2", *id);
  Settle();
  std::optional<Revision> revision;
  member.committer->RevokeLease(*id, [&](const auto& r) { revision = *r; });
  std::optional<absl::Status> twice;
  member.committer->RevokeLease(*id, [&](const auto& r) { twice = r.status(); });
  auto orphan = member.Put("c", "3", *id);
  Settle();
  EXPECT_EQ(*revision, Revision(4));
  EXPECT_EQ(GetErrc(*twice), Errc::kLeaseNotFound);
  EXPECT_EQ(ErrcOf(orphan), Errc::kLeaseNotFound);
  EXPECT_EQ(member.recorder.gone, std::vector<LeaseId>{*id});
  EXPECT_EQ(member.recorder.commits.back().keys, (std::vector<std::string>{"a", "b"}));
  Member again(&exec_, &stream_, "b");
  Settle();
  EXPECT_EQ(again.store.lease_count(), 0U);
  EXPECT_EQ(again.Get("a"), "");
  EXPECT_EQ(again.store.committed(), Revision(4));
}

TEST_F(CommitterTest, KeysBeyondTheSubjectLimitAreRefusedBeforeAnythingIsSent) {
  MemoryLog::Options options;
  options.max_subject_bytes = 64;
  Member member(&exec_, &stream_, "a", options);
  const StreamSeq before = stream_.last();
  auto put = member.Put(std::string(100, 'k'), "v");
  Settle();
  EXPECT_EQ(ErrcOf(put), Errc::kKeyTooLong);
  EXPECT_EQ(stream_.last(), before);
}

TEST_F(CommitterTest, StopAnswersEverybody) {
  Member member(&exec_, &stream_, "a");
  member.log.Hold(Leg::kRequest);
  auto put = member.Put("k", "v");
  Settle();
  member.committer->Stop();
  EXPECT_EQ(ErrcOf(put), Errc::kStopped);
}

}  // namespace
}  // namespace jetd::revision
