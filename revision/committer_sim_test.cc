// SPDX-License-Identifier: Apache-2.0
//
// Random runs of whole members on a faulty log: connections break with writes in flight, which then
// land, land late or never; answers and syncs are delayed; foreigners write; the stream fills up;
// members are killed and others take over. Every client notes what it was told, and a fresh replay
// at the end must agree:
//   answered OK           happened, exactly once, at the revision said
//   answered kUnavailable, kNoLeader, kNoSpace …   did not happen
//   kTimeout, kStopped, no answer                  either way, but whole
// Members that were superseded live on for a while beside the new leader.
// Half of the runs keep most values in files. A linearizable read, through any of them, must show
// every write that was answered before it was asked. A failing seed repeats exactly:
// JETD_SIM_SEED=<seed>.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "gtest/gtest.h"
#include "revision/committer_harness.h"
#include "revision/invariants.h"

namespace jetd::revision {
namespace {

using jetstream::AppendFate;
using jetstream::MemoryLog;
using jetstream::MemoryStream;
using std::chrono::microseconds;
using std::chrono::milliseconds;

class Sim {
 public:
  // An embedded server (exclusive) has no foreign writers and no late records, but power cuts,
  // which take back whatever was not synced; an outside one the other way round.
  enum class Server { kOutside, kEmbedded };
  Sim(uint64_t seed, Server server)
      : rng_(seed),
        embedded_(server == Server::kEmbedded),
        replicated_(seed % 3 == 0),
        values_in_files_(seed % 2 == 0) {}

  void Run(int steps) {
    Start();
    for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) Step();
    // Calm: everything that can be settled is.
    stream_.set_max_messages(MemoryStream::kNoLimit);
    for (const auto& member : live_) member->log.Reconnect();
    exec_.Advance(std::chrono::seconds(20));
    stream_.LandLate(1'000'000);
    exec_.Advance(std::chrono::seconds(5));
    while (!live_.empty()) Kill();
    VerifyCheckpoint();
    Verify();
  }
  [[nodiscard]] size_t acked() const { return acked_; }
  [[nodiscard]] size_t failed() const { return failed_; }
  [[nodiscard]] size_t reads() const { return reads_; }
  [[nodiscard]] size_t from_checkpoint() const { return from_checkpoint_; }

 private:
  struct Write {
    Member::PendingOp op;
    std::string key, value;
    int members = 1;  // values key/0 … in one group
    bool is_delete = false;
    bool counted = false;
  };

  size_t Pick(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(rng_); }
  bool Chance(int percent) { return Pick(100) < static_cast<size_t>(percent); }

  void Start() {
    MemoryLog::Options options;
    auto delay = [this](int max_us) {
      return [this, max_us] { return microseconds(Pick(static_cast<size_t>(max_us))); };
    };
    options.faults.request_delay = delay(300);
    options.faults.answer_delay = delay(300);
    options.faults.sync_delay = delay(500);
    options.faults.api_delay = delay(400);
    options.exclusive = embedded_;
    options.replicas = embedded_ || !replicated_ ? 1 : 3;
    options.faults.fate = [this](StreamSeq) {
      if (embedded_) return std::array{AppendFate::kNever, AppendFate::kLands}[Pick(2)];
      return std::array{AppendFate::kNever, AppendFate::kLands, AppendFate::kLate}[Pick(3)];
    };
    options.faults.refuse = [this](StreamSeq) {
      return Chance(1) && Chance(20) ? MakeError(Errc::kTooManyRequests) : absl::OkStatus();
    };
    live_.push_back(std::make_unique<Member>(&exec_, &stream_, "m" + std::to_string(++members_),
                                             options, ValueBudget(), NewFolder()));
  }

  // For the values of a member; most often with a checkpoint that one of its predecessors left, not
  // always the last one. "" where checkpoints are not used.
  std::string NewFolder() {
    if (!embedded_ || !values_in_files_) return {};
    folders_.push_back(std::make_unique<ScratchFolder>());
    if (!saved_.empty() && Chance(80)) {
      const ScratchFolder& from = Chance(80) ? *saved_.back() : *saved_[Pick(saved_.size())];
      CopyFolder(from, *folders_.back());
    }
    return folders_.back()->path();
  }
  static void CopyFolder(const ScratchFolder& from, const ScratchFolder& to) {
    std::filesystem::copy(from.path(), to.path(), std::filesystem::copy_options::recursive);
  }
  // A member ends as a signal makes it.
  void EndCleanly() {
    std::unique_ptr<Member> member = std::move(live_.back());
    live_.pop_back();
    member->committer->Stop();
    if (!folders_.empty()) {
      const absl::Status saved = member->committer->SaveCheckpoint();
      EXPECT_TRUE(saved.ok()) << saved;
      const std::string path = folders_.back()->path() + "/checkpoint";
      if (std::filesystem::exists(path)) {
        saved_.push_back(std::make_unique<ScratchFolder>());
        CopyFolder(*folders_.back(), *saved_.back());
      }
    }
    dead_.push_back(std::move(member));
  }

  std::optional<size_t> ValueBudget() {
    return values_in_files_ ? std::optional<size_t>(Pick(2000)) : std::nullopt;
  }

  // Most often the newest one; sometimes one that was superseded and may not know.
  Member& Some() { return Chance(70) ? *live_.back() : *live_[Pick(live_.size())]; }

  void Kill() {
    if (embedded_ && values_in_files_ && Chance(60)) {
      EndCleanly();
    } else {
      // As kill -9 does: what was in flight meets its fate, nobody hears of it.
      const size_t which = Pick(live_.size());
      live_[which]->log.Disconnect();
      dead_.push_back(std::move(live_[which]));
      live_.erase(live_.begin() + static_cast<std::ptrdiff_t>(which));
      dead_.back()->committer->Stop();
    }
    if (embedded_ && Chance(70)) {
      // One in three cuts leaves a hole, behind which records are there.
      const bool holes = Chance(33);
      stream_.PowerCut([this, holes](StreamSeq) { return holes && Chance(80); });
    }
    // Deletions that were answered, of records that nobody can ask for any more, are forgotten.
    if (live_.empty() && Chance(50)) {
      stream_.ReviveDeleted([this](const auto&) { return Chance(60); });
    }
  }

  void Step() {
    Harvest();
    const size_t what = Pick(1000);
    if (what < 600) {
      SendWrite();
    } else if (what < 750) {
      Read();
    } else if (what < 960) {
      exec_.Advance(microseconds(Pick(2'000)));
    } else if (what < 975) {
      Some().log.Disconnect();
      exec_.RunDeferred();
    } else if (what < 985) {
      Some().log.Reconnect();
    } else if (what < 989) {
      stream_.LandLate(1 + Pick(3));
    } else if (what < 992) {
      if (embedded_) return;
      stream_.AppendForeign({.subject = "$KV.B.intruder", .header = {}, .payload = "x"});
    } else if (what < 994) {
      stream_.set_max_messages(Chance(50) ? stream_.State().messages + Pick(20)
                                          : MemoryStream::kNoLimit);
    } else if (what < 997) {
      // An outside server lets another member take over while the old one lives on.
      if (embedded_ || live_.size() > 2 || Chance(50)) Kill();
      if (live_.empty() || !embedded_) Start();
    } else if (live_.back()->committer->leading()) {
      Member& leader = *live_.back();
      const Revision at(leader.store.committed().value() - static_cast<int64_t>(Pick(20)));
      if (at > Revision(1)) {
        leader.committer->Compact(at, Committer::Wait::kLogical, [](const auto&) {});
      }
    } else {
      Some().log.Reconnect();
      exec_.Advance(milliseconds(50));
    }
  }

  // Keys of their own, so that the others' revisions only grow.
  void SendDelete() {
    const std::string key = "d" + std::to_string(Pick(6));
    Member& member = Some();
    auto write = std::make_unique<Write>();
    write->key = key;
    write->value = "v" + std::to_string(writes_.size());
    write->is_delete = Chance(60);
    write->op = write->is_delete ? member.Delete(key) : member.Put(key, write->value);
    writes_.push_back(std::move(write));
  }

  struct Lease {
    bool granted = false;  // answered so
    bool revoking = false;
    bool gone = false;  // answered so
  };

  // Leases of their own: granted once, revoked once.
  void SendLease() {
    Member& member = Some();
    if (leases_.empty() || Chance(50)) {
      const int64_t id = static_cast<int64_t>(leases_.size()) + 1;
      const auto lease = std::make_shared<Lease>();
      leases_.push_back(lease);
      member.committer->GrantLease(LeaseId(id), 60,
                                   [lease](const auto& answer) { lease->granted = answer.ok(); });
      return;
    }
    const size_t which = Pick(leases_.size());
    const std::shared_ptr<Lease> lease = leases_[which];
    if (!lease->granted || std::exchange(lease->revoking, true)) return;
    member.committer->RevokeLease(LeaseId(static_cast<int64_t>(which) + 1),
                                  [lease](const auto& answer) { lease->gone = answer.ok(); });
  }

  void SendWrite() {
    if (Chance(15)) return SendDelete();
    if (Chance(10)) return SendLease();
    auto write = std::make_unique<Write>();
    write->key = "k" + std::to_string(Pick(8));
    write->value = "v" + std::to_string(writes_.size());
    Member& member = Some();
    if (Chance(25)) {
      write->members = 2 + static_cast<int>(Pick(5));
      write->op = member.PutMany(write->key, write->members, write->value);
    } else {
      write->op = member.Put(write->key, write->value);
    }
    writes_.push_back(std::move(write));
  }

  // What has been answered so far must be visible to a read that is asked now.
  void Read() {
    const bool comes_and_goes = Chance(20);
    const std::string key =
        comes_and_goes ? "d" + std::to_string(Pick(6)) : "k" + std::to_string(Pick(8));
    auto kept = std::make_shared<std::pair<std::string, RangeOp>>();
    kept->first = key;
    kept->second.keys = {kept->first, {}};
    const Revision answered = newest_answered_[key];
    Some().committer->Range(&kept->second, [this, kept, answered, comes_and_goes](
                                               const absl::StatusOr<RangeResult>& result) {
      if (!result.ok()) return;
      if (comes_and_goes && result->kvs.empty()) return;
      ++reads_;
      const Revision seen = result->kvs.empty() ? Revision{} : result->kvs[0]->mod_revision();
      EXPECT_GE(seen, answered) << "a stale read of " << kept->first;
    });
  }

  void Harvest() {
    for (auto it = open_; it < writes_.size(); ++it) {
      Write& write = *writes_[it];
      if (write.counted || !write.op->answer) continue;
      write.counted = true;
      if (!write.op->answer->ok()) {
        ++failed_;
        continue;
      }
      ++acked_;
      if (write.members == 1) {
        Revision& newest = newest_answered_[write.key];
        newest = std::max(newest, RevisionOf(write.op));
      }
    }
    while (open_ < writes_.size() && writes_[open_]->counted) ++open_;
  }

  // With their keys, sorted.
  static std::vector<std::string> LeasesOf(const Store& store) {
    std::vector<std::string> lines;
    for (const Store::LeaseInfo& lease : store.Leases()) {
      std::vector<std::string> keys = store.LeaseKeys(lease.id);
      std::sort(keys.begin(), keys.end());
      lines.push_back(Cat(lease.id.value(), " ttl ", lease.ttl_s));
      for (const std::string& key : keys) lines.back() += " " + key;
    }
    std::sort(lines.begin(), lines.end());
    return lines;
  }

  // A member that begins at any checkpoint of the past sees what one sees that reads all.
  void VerifyCheckpoint() {
    if (saved_.empty()) return;
    uint32_t hash = 0;
    std::vector<std::string> leases;
    {
      Member all(&exec_, &stream_, "all", exclusive_);
      exec_.Advance(std::chrono::seconds(1));
      ASSERT_TRUE(all.committer->leading()) << all.committer->waiting_for();
      hash = all.store.HashKv(Revision())->hash;
      leases = LeasesOf(all.store);
    }
    const ScratchFolder folder;
    CopyFolder(*saved_.back(), folder);
    Member again(&exec_, &stream_, "again", exclusive_, 100, folder.path());
    exec_.Advance(std::chrono::seconds(1));
    ASSERT_TRUE(again.committer->leading()) << again.committer->waiting_for();
    EXPECT_EQ(again.store.HashKv(Revision())->hash, hash);
    EXPECT_EQ(LeasesOf(again.store), leases);
    EXPECT_TRUE(CheckInvariants(again.store).ok());
    const auto read = again.committer->counters().replayed_records;
    from_checkpoint_ += read < stream_.State().messages / 2 ? 1 : 0;
  }

  void Verify() {
    Harvest();
    Member fresh(&exec_, &stream_, "fresh", {}, ValueBudget());
    exec_.Advance(std::chrono::seconds(1));
    ASSERT_TRUE(fresh.committer->leading()) << fresh.committer->waiting_for();
    std::map<std::string, std::set<Revision>> seen;  // value -> revisions
    std::map<std::string, int> times;                // value -> keys that carried it
    const Revision compacted = fresh.store.compacted();
    auto status =
        fresh.store.History(std::max(compacted, Revision(1)), 1'000'000, [&](const Change& change) {
          if (change.kv->tombstone()) return;
          const std::string value(fresh.store.Load(change.kv)->value());
          seen[value].insert(change.kv->mod_revision());
          ++times[value];
        });
    ASSERT_TRUE(status.ok()) << status.status();
    for (const auto& [key, answered] : newest_answered_) {
      const KvRef now = fresh.store.Get(key, Store::View::kCommitted);
      if (now) {
        EXPECT_GE(now->mod_revision(), answered) << key << " is what it was long before";
      }
    }
    for (size_t i = 0; i < leases_.size(); ++i) {
      const Lease& lease = *leases_[i];
      const bool there = fresh.store.FindLease(LeaseId(static_cast<int64_t>(i) + 1)).has_value();
      EXPECT_FALSE(lease.gone && there) << "lease " << i + 1 << " was revoked";
      EXPECT_FALSE(lease.granted && !lease.revoking && !there) << "lease " << i + 1 << " is lost";
    }
    for (const auto& write : writes_) {
      if (write->is_delete) continue;
      const auto at = seen.find(write->value);
      const bool there = at != seen.end();
      if (there) {
        EXPECT_EQ(at->second.size(), 1U) << write->value << " happened twice";
        EXPECT_EQ(times[write->value], write->members) << write->value << " is not whole";
      }
      if (!write->op->answer) continue;
      if (write->op->answer->ok()) {
        const Revision said = RevisionOf(write->op);
        if (said > compacted) {
          ASSERT_TRUE(there) << write->value << " was answered at " << said << " and is lost";
          EXPECT_EQ(*at->second.begin(), said) << write->value;
        }
        continue;
      }
      const Errc why = GetErrc(write->op->answer->status());
      if (why != Errc::kTimeout && why != Errc::kStopped) {
        EXPECT_FALSE(there) << write->value << " was refused with " << static_cast<int>(why)
                            << " and happened";
      }
    }
  }

  const MemoryLog::Options exclusive_ = [] {
    MemoryLog::Options options;
    options.exclusive = true;
    return options;
  }();
  std::mt19937_64 rng_;
  const bool embedded_;
  const bool replicated_;
  const bool values_in_files_;
  FakeExecutor exec_;
  MemoryStream stream_{{.remember_deleted = true}};
  // Outlive the members. saved_ have a checkpoint.
  std::vector<std::unique_ptr<ScratchFolder>> folders_, saved_;
  std::vector<std::unique_ptr<Member>> live_;
  std::vector<std::unique_ptr<Member>> dead_;
  int members_ = 0;
  std::vector<std::unique_ptr<Write>> writes_;
  size_t open_ = 0;
  std::vector<std::shared_ptr<Lease>> leases_;
  std::map<std::string, Revision> newest_answered_;
  size_t acked_ = 0, failed_ = 0, reads_ = 0, from_checkpoint_ = 0;
};

void RunSeeds(Sim::Server server) {
  log::Init({.level = log::Level::kError});
  const char* one = std::getenv("JETD_SIM_SEED");
  const char* many = std::getenv("JETD_SIM_SEEDS");
  const uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : 1;
  const uint64_t count = one != nullptr    ? 1
                         : many != nullptr ? std::strtoull(many, nullptr, 10)
                                           : 60;
  size_t acked = 0;
  size_t failed = 0;
  size_t reads = 0;
  size_t from_checkpoint = 0;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("JETD_SIM_SEED=" + std::to_string(seed));
    Sim sim(seed, server);
    sim.Run(3'000);
    acked += sim.acked();
    failed += sim.failed();
    reads += sim.reads();
    from_checkpoint += sim.from_checkpoint();
    if (::testing::Test::HasFailure()) break;
  }
  std::printf(
      "%zu writes answered OK, %zu refused or unknown, %zu reads, over %zu seeds; %zu checkpoints "
      "were good to the end\n",
      acked, failed, reads, static_cast<size_t>(count), from_checkpoint);
  EXPECT_GT(acked, 100 * count) << "the runs hardly wrote anything";
}

TEST(CommitterSimTest, NothingIsLostAndNothingIsInvented) { RunSeeds(Sim::Server::kOutside); }
TEST(CommitterSimTest, NothingIsLostInPowerCuts) { RunSeeds(Sim::Server::kEmbedded); }

}  // namespace
}  // namespace jetd::revision
