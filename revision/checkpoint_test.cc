// SPDX-License-Identifier: Apache-2.0
//
// A member that begins at a checkpoint against one that reads the whole stream: the same store, and
// the same garbage removed, whatever the checkpoint and the stream went through.
#include "revision/checkpoint.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/strings.h"
#include "revision/committer_harness.h"
#include "revision/invariants.h"
#include "revision/store_model.h"

namespace jetd::revision {
namespace {

using jetstream::MemoryLog;
using jetstream::MemoryStream;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::unique_ptr<MemoryStream> Copy(const MemoryStream& stream, int64_t created_ns = 0,
                                   StreamSeq until = StreamSeq(UINT64_MAX)) {
  MemoryStream::Options options;
  options.created_ns = created_ns == 0 ? stream.created_ns() : created_ns;
  auto copy = std::make_unique<MemoryStream>(options);
  for (StreamSeq seq(1); seq <= std::min(until, stream.last()); seq = seq.Next()) {
    const MemoryStream::StoredPtr record = stream.Find(seq);
    if (record != nullptr) {
      EXPECT_TRUE(copy->Append(*record, record->time_ns, nullptr).ok());
    } else {
      copy->AppendForeign({.subject = "$KV.B.gone"});
      copy->Delete(seq);
    }
  }
  copy->SyncRecords(copy->last());
  copy->SyncDeletes();
  return copy;
}

// All that readers can see, line by line.
std::vector<std::string> Dump(const Store& store) {
  std::vector<std::string> lines;
  lines.push_back(Cat("newest ", store.newest().value(), " committed ", store.committed().value(),
                      " compacted ", store.compacted().value(), " hash ",
                      store.HashKv(Revision())->hash, " versions ", store.stats().versions,
                      " keys ", store.stats().keys, " bytes ", store.stats().bytes));
  const auto all = store.Range({.keys = {"", std::string_view("\0", 1)}}, Store::View::kCommitted);
  for (const KvRef& kv : all->kvs) lines.push_back(ToString(VersionOf(*kv)));
  const Revision from = std::max(store.compacted(), Revision(1));
  const auto next = store.History(from, SIZE_MAX, [&](const Change& change) {
    lines.push_back(Cat("event ", ToString(VersionOf(*store.Load(change.kv)))));
    if (change.prev) lines.push_back(Cat("was ", ToString(VersionOf(*store.Load(change.prev)))));
  });
  EXPECT_TRUE(next.ok());
  for (const Store::LeaseInfo& lease : store.Leases()) {
    lines.push_back(Cat("lease ", lease.id.value(), " ttl ", lease.ttl_s));
    for (const std::string& key : store.LeaseKeys(lease.id)) lines.push_back(HexOf(key));
  }
  return lines;
}

class CheckpointTest : public testing::Test {
 protected:
  void SetUp() override { log::Init({.level = log::Level::kError}); }

  static MemoryLog::Options Embedded() {
    MemoryLog::Options options;
    options.exclusive = true;
    return options;
  }
  std::unique_ptr<Member> Start(MemoryStream* stream, const std::string& folder,
                                size_t budget_bytes) {
    auto member = std::make_unique<Member>(&exec_, stream, Cat("m", ++members_), Embedded(),
                                           budget_bytes, folder);
    exec_.Advance(seconds(1));
    EXPECT_TRUE(member->committer->leading()) << member->committer->waiting_for();
    const absl::Status sound = CheckInvariants(member->store);
    EXPECT_TRUE(sound.ok()) << sound;
    return member;
  }
  // What a member finds that reads all.
  std::vector<std::string> Replayed(const MemoryStream& stream, uint64_t* left = nullptr) {
    const auto copy = Copy(stream);
    Member member(&exec_, copy.get(), Cat("r", ++members_), Embedded());
    exec_.Advance(seconds(20));
    EXPECT_TRUE(member.committer->leading()) << member.committer->waiting_for();
    if (left != nullptr) *left = copy->State().messages;
    return Dump(member.store);
  }
  void End(std::unique_ptr<Member> member) {
    member->committer->Stop();
    const absl::Status saved = member->committer->SaveCheckpoint();
    EXPECT_TRUE(saved.ok()) << saved;
    member.reset();
  }
  static std::string Path(const std::string& folder) { return folder + "/checkpoint"; }

  // A few hundred requests of all kinds.
  void Work(Member* member, uint64_t seed, int steps) {
    std::mt19937_64 random(seed);
    const auto below = [&random](uint64_t n) { return random() % n; };
    for (int i = 0; i < steps; ++i) {
      const std::string key = Cat("k", below(12));
      const auto leases = member->store.Leases();
      const LeaseId lease =
          below(3) == 0 && !leases.empty() ? leases[below(leases.size())].id : LeaseId();
      switch (below(16)) {
        case 0 ... 7:
          member->Put(key, std::string(below(80), static_cast<char>('a' + below(26))), lease);
          break;
        case 8 ... 9:
          member->Delete(key);
          break;
        case 10:
          member->PutMany(key, 1 + static_cast<int>(below(4)), "together");
          break;
        case 11:
          member->committer->GrantLease(LeaseId(), 10 + static_cast<int64_t>(below(5)),
                                        [](const auto&) {});
          break;
        case 12:
          if (!leases.empty()) {
            member->committer->RevokeLease(leases[below(leases.size())].id, [](const auto&) {});
          }
          break;
        case 13:
          if (below(3) == 0) {
            const Revision at(member->store.committed().value() - static_cast<int64_t>(below(9)));
            member->committer->Compact(at, Committer::Wait::kLogical, [](const auto&) {});
          }
          break;
        default:
          exec_.Advance(milliseconds(below(4)));
      }
      if (below(3) == 0) exec_.RunDeferred();
    }
  }
  // A stream and a checkpoint in `folder`, by a member that worked and ended.
  void Prepare(const std::string& folder, uint64_t seed, size_t budget_bytes) {
    auto member = Start(&stream_, folder, budget_bytes);
    Work(member.get(), seed, 200);
    exec_.Advance(seconds(1));
    End(std::move(member));
    ASSERT_TRUE(std::filesystem::exists(Path(folder)));
  }
  // Starts on copies of both, and compares.
  enum class Used { kYes, kNo };
  void ExpectSame(const MemoryStream& stream, const std::string& folder, Used used) {
    const ScratchFolder copy;
    std::filesystem::copy(folder, copy.path(), std::filesystem::copy_options::recursive);
    const auto stream_copy = Copy(stream);
    const uint64_t records = stream.State().messages;
    const auto member = Start(stream_copy.get(), copy.path(), 300);
    ASSERT_EQ(Dump(member->store), Replayed(stream));
    EXPECT_FALSE(std::filesystem::exists(Path(copy.path())));
    const uint64_t read = member->committer->counters().replayed_records;
    if (used == Used::kYes) {
      EXPECT_LT(read, records / 2);
    } else {
      EXPECT_EQ(read, records);
    }
  }

  FakeExecutor exec_;
  MemoryStream stream_;
  int members_ = 0;
};

TEST_F(CheckpointTest, BeginsWhereTheLastMemberEnded) {
  constexpr size_t kBudgets[] = {0, 200, 1000, 1U << 20U};
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    stream_.Recreate(static_cast<int64_t>(seed));
    const ScratchFolder folder;
    // Several lives, each from the checkpoint of the one before.
    for (uint64_t life = 0; life < 4; ++life) {
      const std::vector<std::string> before = Replayed(stream_);
      auto member = Start(&stream_, folder.path(), kBudgets[(seed + life) % 4]);
      ASSERT_EQ(Dump(member->store), before) << "life " << life;
      if (life > 0) {
        EXPECT_LT(member->committer->counters().replayed_records, 20U);
      }
      Work(member.get(), seed * 10 + life, 150);
      // With something in flight, mostly; what of it counts lies in the stream behind the
      // checkpoint.
      if (seed % 3 == 0) exec_.Advance(seconds(1));
      // A nats-server that ends before jetd does, as when both are told to.
      if (seed % 5 == 0) member->log.Disconnect();
      if (seed % 10 == 0) exec_.RunDeferred();
      End(std::move(member));
    }
    if (HasFailure()) break;
  }
}

// What compaction named and nobody removed yet is removed by the next member.
TEST_F(CheckpointTest, ForgetsNoGarbage) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    stream_.Recreate(static_cast<int64_t>(seed));
    const ScratchFolder folder;
    auto member = Start(&stream_, folder.path(), 300);
    for (int i = 0; i < 200; ++i) member->Put(Cat("k", i % 5), "value");
    member->Delete("k3");
    exec_.Advance(milliseconds(20));
    member->committer->Compact(member->store.committed(), Committer::Wait::kLogical,
                               [](const auto&) {});
    for (uint64_t i = 0; i < seed; ++i) exec_.Advance(std::chrono::microseconds(150));
    End(std::move(member));
    uint64_t left = 0;
    Replayed(stream_, &left);
    member = Start(&stream_, folder.path(), 300);
    EXPECT_LT(member->committer->counters().replayed_records, 20U);
    exec_.Advance(seconds(20));
    EXPECT_EQ(stream_.State().messages, left);
  }
}

// Nor does it what the log was told to delete and has only taken note of.
TEST_F(CheckpointTest, ForgetsNoDeletionThatWasPutOff) {
  const ScratchFolder folder;
  MemoryLog::Options patient = Embedded();
  patient.puts_off_deletions = true;
  auto member = std::make_unique<Member>(&exec_, &stream_, "patient", patient, 300, folder.path());
  exec_.Advance(seconds(1));
  for (int i = 0; i < 200; ++i) member->Put(Cat("k", i % 5), "value");
  member->Delete("k3");
  exec_.Advance(seconds(1));
  member->committer->Compact(member->store.committed(), Committer::Wait::kLogical,
                             [](const auto&) {});
  exec_.Advance(seconds(20));
  End(std::move(member));
  EXPECT_GT(stream_.State().messages, 200U);
  uint64_t left = 0;
  Replayed(stream_, &left);
  EXPECT_LT(left, 20U);
  member = Start(&stream_, folder.path(), 300);
  EXPECT_LT(member->committer->counters().replayed_records, 20U);
  exec_.Advance(seconds(20));
  EXPECT_EQ(stream_.State().messages, left);
}

TEST_F(CheckpointTest, IsNotUsedForAnotherStream) {
  const ScratchFolder folder;
  Prepare(folder.path(), 1, 300);
  ExpectSame(stream_, folder.path(), Used::kYes);
  ExpectSame(*Copy(stream_, stream_.created_ns() + 1), folder.path(), Used::kNo);
}

TEST_F(CheckpointTest, IsNotUsedWhenTheStreamLostWhatItHolds) {
  const ScratchFolder folder;
  {
    // Without a compaction, which a stream cannot lose.
    auto member = Start(&stream_, folder.path(), 300);
    for (int i = 0; i < 100; ++i) member->Put(Cat("k", i % 7), Cat("value", i));
    exec_.Advance(seconds(1));
    End(std::move(member));
  }
  const StreamSeq end = stream_.last();
  for (uint64_t lost = 1; lost < 8; ++lost) {
    const auto shorter = Copy(stream_, 0, StreamSeq(end.value() - lost));
    ExpectSame(*shorter, folder.path(), Used::kNo);
    // And when another member has written in the place of what is lost.
    {
      Member other(&exec_, shorter.get(), "other", Embedded());
      exec_.Advance(seconds(1));
      for (int i = 0; i < 20; ++i) other.Put("k1", Cat("other", i));
      exec_.Advance(seconds(1));
    }
    ASSERT_GT(shorter->last(), end);
    ExpectSame(*shorter, folder.path(), Used::kNo);
  }
}

TEST_F(CheckpointTest, GoesOnWithWhatOthersWroteBehindIt) {
  const ScratchFolder folder;
  Prepare(folder.path(), 3, 300);
  {
    Member other(&exec_, &stream_, "other", Embedded());
    exec_.Advance(seconds(1));
    for (int i = 0; i < 20; ++i) other.Put(Cat("k", i % 3), Cat("other", i));
    other.Delete("k1");
    exec_.Advance(seconds(1));
  }
  ExpectSame(stream_, folder.path(), Used::kYes);
}

TEST_F(CheckpointTest, IsNotUsedWhenTheStreamWasCompactedSince) {
  const ScratchFolder folder;
  Prepare(folder.path(), 4, 300);
  {
    Member other(&exec_, &stream_, "other", Embedded());
    exec_.Advance(seconds(1));
    for (int i = 0; i < 20; ++i) other.Put("k1", Cat("other", i));
    other.Delete("k1");
    exec_.Advance(seconds(1));
    other.committer->Compact(other.store.committed(), Committer::Wait::kLogical,
                             [](const auto&) {});
    exec_.Advance(seconds(20));
  }
  ExpectSame(stream_, folder.path(), Used::kNo);
}

TEST_F(CheckpointTest, AMemberThatWasKilledLeavesNone) {
  const ScratchFolder folder;
  Prepare(folder.path(), 5, 300);
  {
    auto member = Start(&stream_, folder.path(), 0);
    Work(member.get(), 6, 100);
    exec_.Advance(seconds(1));
  }
  EXPECT_FALSE(std::filesystem::exists(Path(folder.path())));
  auto member = Start(&stream_, folder.path(), 0);
  EXPECT_EQ(Dump(member->store), Replayed(stream_));
  // One that never led leaves none either.
  member->committer->Stop();
  EXPECT_TRUE(member->committer->SaveCheckpoint().ok());
}

// A start that waits for room looks at the stream again and again; what the checkpoint said still
// holds.
TEST_F(CheckpointTest, IsLoadedOnceByAStartThatWaits) {
  const ScratchFolder folder;
  {
    auto member = Start(&stream_, folder.path(), 300);
    for (int i = 0; i < 100; ++i) member->Put(Cat("k", i % 7), Cat("value", i));
    exec_.Advance(seconds(1));
    member->committer->Compact(Revision(50), Committer::Wait::kLogical, [](const auto&) {});
    exec_.Advance(seconds(20));
    End(std::move(member));
  }
  const std::vector<std::string> all = Replayed(stream_);
  stream_.set_max_messages(stream_.State().messages);
  Member member(&exec_, &stream_, "waits", Embedded(), 300, folder.path());
  exec_.Advance(seconds(5));
  EXPECT_FALSE(member.committer->leading());
  stream_.set_max_messages(MemoryStream::kNoLimit);
  exec_.Advance(seconds(2));
  ASSERT_TRUE(member.committer->leading()) << member.committer->waiting_for();
  EXPECT_EQ(member.committer->counters().replayed_records, 0U);
  EXPECT_EQ(Dump(member.store), all);
}

// One that ends before it got to the checkpoint leaves it, and what it refers to, to the next.
TEST_F(CheckpointTest, StaysForTheNextIfTheStartDidNotGetToIt) {
  const ScratchFolder folder;
  Prepare(folder.path(), 8, 100);
  {
    MemoryLog::Options never = Embedded();
    never.connect_on_open = false;
    Member member(&exec_, &stream_, "never", never, 100, folder.path());
    exec_.Advance(seconds(1));
    member.committer->Stop();
    EXPECT_TRUE(member.committer->SaveCheckpoint().ok());
  }
  ExpectSame(stream_, folder.path(), Used::kYes);
}

// A later version's stays, as long as the stream is of that version too.
TEST_F(CheckpointTest, OfALaterVersionStaysWithItsStream) {
  const ScratchFolder folder;
  Prepare(folder.path(), 9, 300);
  {
    std::fstream file(Path(folder.path()), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(7);
    file.put('9');  // JETDCP09
  }
  ExpectSame(stream_, folder.path(), Used::kNo);
  jetstream::TermRecord term;
  term.format = jetstream::kFormatVersion + 1;
  term.term = Term(99);
  term.incarnation = "later";
  const std::string payload = EncodeTerm(term);
  stream_.AppendForeign(
      {.subject = "$KV.B._jetd.term", .header = "1 0 0 0 1/1 99", .payload = payload});
  const auto files = [&folder] {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      names.push_back(entry.path());
    }
    std::sort(names.begin(), names.end());
    return names;
  };
  const std::vector<std::string> before = files();
  Member member(&exec_, &stream_, "earlier", Embedded(), 300, folder.path());
  exec_.Advance(seconds(1));
  ASSERT_TRUE(member.fatal.has_value());
  EXPECT_TRUE(absl::IsFailedPrecondition(*member.fatal)) << *member.fatal;
  EXPECT_EQ(files(), before);
}

// Whatever happens to the files, the stream is what counts.
TEST_F(CheckpointTest, DamageIsFound) {
  const ScratchFolder folder;
  Prepare(folder.path(), 7, 300);
  std::ostringstream read;
  read << std::ifstream(Path(folder.path()), std::ios::binary).rdbuf();
  const std::string bytes = read.str();
  ASSERT_GT(bytes.size(), 2000U);
  const auto write = [&](const std::string& changed) {
    std::ofstream(Path(folder.path()), std::ios::binary | std::ios::trunc) << changed;
  };
  for (size_t at = 0; at < bytes.size(); at += 1 + at % 31) {
    SCOPED_TRACE(at);
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ (1 << (at % 8)));
    write(changed);
    EXPECT_FALSE(Checkpoint::Open(Path(folder.path())).ok());
    if (at % 5 == 0) ExpectSame(stream_, folder.path(), Used::kNo);
    write(bytes.substr(0, at));
    EXPECT_FALSE(Checkpoint::Open(Path(folder.path())).ok());
    if (HasFailure()) return;
  }
  write(bytes + "more");
  EXPECT_FALSE(Checkpoint::Open(Path(folder.path())).ok());
  write(bytes);
  ExpectSame(stream_, folder.path(), Used::kYes);
  // A step of writing that was the last: the file under its other name.
  std::filesystem::rename(Path(folder.path()), Path(folder.path()) + ".new");
  ExpectSame(stream_, folder.path(), Used::kNo);
  write(bytes);

  // The segments that it refers to.
  std::vector<std::filesystem::path> segments;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    if (entry.path().extension() == ".values") segments.push_back(entry.path());
  }
  ASSERT_GT(segments.size(), 3U);
  const auto size = std::filesystem::file_size(segments[1]);
  std::filesystem::resize_file(segments[1], size - 1);
  ExpectSame(stream_, folder.path(), Used::kNo);
  std::filesystem::remove(segments[1]);
  ExpectSame(stream_, folder.path(), Used::kNo);
}

}  // namespace
}  // namespace jetd::revision
