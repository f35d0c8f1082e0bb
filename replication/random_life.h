// SPDX-License-Identifier: Apache-2.0
//
// For tests: streams that whole members wrote, through lost connections, kills, power cuts, other
// writers and compactions.
#ifndef JETD_REPLICATION_RANDOM_LIFE_H_
#define JETD_REPLICATION_RANDOM_LIFE_H_

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/fake_executor.h"
#include "base/strings.h"
#include "replication/check_harness.h"
#include "revision/committer_harness.h"

namespace jetd::replication {

// Members, one after the other or side by side, that write whatever comes to their mind.
class Life {
 public:
  Life(uint64_t seed, Server server) : rng_(seed), server_(server) {}

  void Run(int steps) {
    Start();
    Steps(steps);
    ComeToRest();
  }
  void Start() {
    jetstream::MemoryLog::Options options;
    options.exclusive = options.answer_for_group = server_ == Server::kEmbedded;
    options.replicas = server_ == Server::kOutside && Chance(30) ? 3 : 1;
    options.faults.answer_delay = [this] { return std::chrono::microseconds(Pick(300)); };
    options.faults.sync_delay = [this] { return std::chrono::microseconds(Pick(500)); };
    options.faults.fate = [this](StreamSeq) {
      using jetstream::AppendFate;
      const size_t fates = server_ == Server::kEmbedded ? 2 : 3;
      return std::array{AppendFate::kNever, AppendFate::kLands, AppendFate::kLate}[Pick(fates)];
    };
    members_.push_back(
        std::make_unique<Member>(&exec_, &stream_, Cat("m", ++started_), std::move(options)));
  }
  void Steps(int steps) {
    for (int i = 0; i < steps; ++i) Step();
  }
  void ComeToRest() {
    for (const auto& member : members_) member->log.Reconnect();
    exec_.Advance(std::chrono::seconds(10));
    stream_.LandLate(1'000);
    exec_.Advance(std::chrono::seconds(2));
  }
  void End() { members_.clear(); }
  [[nodiscard]] jetstream::MemoryStream* stream() { return &stream_; }
  [[nodiscard]] FakeExecutor* exec() { return &exec_; }
  size_t Pick(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(rng_); }
  bool Chance(size_t percent) { return Pick(100) < percent; }

 private:
  using Member = revision::Member;

  void Kill() {
    members_.back()->log.Disconnect();
    members_.back()->committer->Stop();
    members_.pop_back();
    if (server_ == Server::kOutside) return;
    const bool holes = Chance(30);
    if (Chance(70)) {
      stream_.PowerCut([this, holes](StreamSeq) { return holes && Chance(80); });
    }
  }
  void Write(Member* member) {
    const std::string key = Cat("k", Pick(6));
    const LeaseId lease(Chance(30) ? static_cast<int64_t>(1 + Pick(3)) : 0);
    switch (Pick(8)) {
      case 0:
        (void)member->Delete(key);
        break;
      case 1:
        (void)member->Delete("k1", "k4");
        break;
      case 2:
        (void)member->PutMany(key, static_cast<int>(2 + Pick(4)), "many");
        break;
      case 3:
        member->committer->GrantLease(LeaseId(static_cast<int64_t>(1 + Pick(3))), 60,
                                      [](const auto&) {});
        break;
      case 4:
        member->committer->RevokeLease(LeaseId(static_cast<int64_t>(1 + Pick(3))),
                                       [](const auto&) {});
        break;
      default:
        (void)member->Put(key, Cat("v", Pick(100)), lease);
    }
  }
  void Compact(Member* member) const {
    const Revision at(member->store.committed().value() - 3);
    if (!member->committer->leading() || at <= std::max(Revision(1), member->store.compacted())) {
      return;
    }
    member->committer->Compact(at, revision::Committer::Wait::kLogical, [](const auto&) {});
  }
  void Step() {
    Member* const member = members_.back().get();
    const size_t what = Pick(100);
    if (what < 60) {
      Write(member);
    } else if (what < 88) {
      exec_.Advance(std::chrono::microseconds(Pick(2'000)));
    } else if (what < 91) {
      member->log.Disconnect();
      exec_.RunDeferred();
      member->log.Reconnect();
    } else if (what < 93) {
      stream_.LandLate(1);
    } else if (what < 94 && server_ == Server::kOutside) {
      stream_.AppendForeign({.subject = "$KV.B.intruder", .header = {}, .payload = "x"});
    } else if (what < 95) {
      Kill();
      Start();
    } else if (what < 96 && server_ == Server::kOutside) {
      Start();  // the one before lives on
    } else {
      Compact(member);
      exec_.Advance(std::chrono::milliseconds(20));
    }
  }

  std::mt19937_64 rng_;
  const Server server_;
  FakeExecutor exec_;
  jetstream::MemoryStream stream_;
  std::vector<std::unique_ptr<Member>> members_;
  int started_ = 0;
};

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_RANDOM_LIFE_H_
