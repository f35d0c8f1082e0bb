// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_FAULTS_OUTSIDE_WORLD_H_
#define JETD_CONFORMANCE_FAULTS_OUTSIDE_WORLD_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "conformance/faults/lease_keeper.h"
#include "conformance/faults/nats_network.h"
#include "conformance/faults/outage_probe.h"
#include "conformance/history/world.h"
#include "conformance/relay/relay.h"
#include "conformance/server_faults.h"
#include "conformance/small_disk.h"
#include "etcdclient/testing/server_process.h"

namespace jetd::conformance {

// jetd, one member or several, on nats-servers of their own, with relays between clients and jetd,
// jetd and NATS, and NATS and itself; and all that can happen to any of them. After each fault
// every member must serve again, by itself.
class OutsideWorld : public history::World {
 public:
  struct Options {
    etcdclient::ServerProcess::Options server;
    int nats_servers = 1;
    int members = 1;
    size_t faults = 6;  // in each window
    uint64_t seed = 1;
    // Faults last up to so long, mostly much shorter.
    std::chrono::milliseconds longest{2'500};
    // Every fourth of those that keep jetd from its nats-server lasts so long at least.
    std::chrono::milliseconds outage{13'000};
    // Only faults in whose names one of these occurs; empty: all.
    std::vector<std::string> only{};
    size_t disk_bytes = 256UL << 20;
    std::chrono::seconds patience{60};
  };
  struct Counts {
    OutageProbe::Counts outages;
    LeaseKeeper::Counts leases;
    size_t nats_restarts = 0;  // after a full disk, since nats-server does not go on by itself
    size_t connections_cut = 0;
  };

  // InvalidArgument, in one line with the names that there are, if a word of `only` names no fault
  // of so many nats-servers: such a run would show nothing.
  [[nodiscard]] static absl::Status CheckNames(const Options& options);

  // REQUIRES: the process has one thread still (SmallDisk). CheckNames is OK.
  explicit OutsideWorld(Options options);
  ~OutsideWorld() override;

  [[nodiscard]] absl::Status Start() override;
  [[nodiscard]] std::vector<std::string> endpoints() const override;
  [[nodiscard]] std::vector<Fault> NextFaults(size_t operations) override;
  [[nodiscard]] absl::Status CheckRunning() override;
  [[nodiscard]] absl::Status WaitReady() override;
  [[nodiscard]] absl::StatusOr<std::optional<std::vector<history::Transaction>>> ReadTruth(
      const history::KeySpace& keys, int64_t first, int64_t last) override;
  [[nodiscard]] history::Violations TakeViolations() override;
  [[nodiscard]] std::string LogTail() const override;

  // After the last window: leases must end.
  void Settle();
  [[nodiscard]] Counts counts() const;
  // What cannot be done on this machine, and why; "" if all can.
  [[nodiscard]] const std::string& lacking() const { return lacking_; }

 private:
  using Milliseconds = std::chrono::milliseconds;
  struct Member {
    std::unique_ptr<etcdclient::ServerProcess> server;
    std::unique_ptr<ServerFaults> faults;
    std::unique_ptr<Relay> front;  // between clients and it
    std::unique_ptr<OutageProbe> probe;
  };
  // What a fault is about: drawn with its kind, so that a seed is a plan.
  struct Draw {
    Milliseconds time{0};
    uint64_t roll = 0;
    size_t member = 0;
  };
  enum class Where { kAnywhere, kOneServer, kCluster, kSmallDisk };
  struct Kind {
    const char* name;
    Where where;
    bool outage;  // keeps a member from its nats-server for all the time
    absl::Status (OutsideWorld::*inflict)(const Draw& draw);
  };
  static const std::vector<Kind>& Kinds();

  // With so many nats-servers, whatever the machine lets be done.
  [[nodiscard]] static bool Fits(const Kind& kind, int nats_servers);
  [[nodiscard]] bool Possible(const Kind& kind) const;
  [[nodiscard]] Draw NextDraw(const Kind& kind);
  [[nodiscard]] absl::Status Inflict(const Kind& kind, const Draw& draw);
  [[nodiscard]] Member& MemberOf(const Draw& draw) { return members_[draw.member]; }
  [[nodiscard]] jetstream::NatsTestServer& ServerOf(const Draw& draw) {
    return network_->server(draw.roll % network_->size());
  }
  template <typename Fn>
  void OnLinks(const Draw& draw, Fn fn) {
    for (const auto& link : network_->links(draw.member)) fn(*link);
  }
  // On every nats-server but one.
  template <typename Fn>
  void OnServersBut(size_t one, Fn fn) {
    for (size_t i = 0; i < network_->size(); ++i) {
      if (i != one) fn(network_->server(i));
    }
  }
  [[nodiscard]] absl::Status WriteIsRefused(const Member& member);
  [[nodiscard]] absl::Status ReadIsNotAnswered(const Member& member);

  // jetd.
  absl::Status KillMember(const Draw& draw);
  absl::Status KillMemberTwice(const Draw& draw);
  absl::Status FreezeMember(const Draw& draw);
  absl::Status StopMember(const Draw& draw);
  // nats-server.
  absl::Status KillNats(const Draw& draw);
  absl::Status KillNatsForLong(const Draw& draw);
  absl::Status StopNats(const Draw& draw);
  absl::Status FreezeNats(const Draw& draw);
  // Between them.
  absl::Status CutLink(const Draw& draw);
  absl::Status CutWrite(const Draw& draw);
  absl::Status CutAnswer(const Draw& draw);
  absl::Status CutBuffered(const Draw& draw);
  absl::Status HoldUp(const Draw& draw);
  absl::Status HoldDown(const Draw& draw);
  absl::Status HoldLink(const Draw& draw);
  absl::Status HoldOldConnection(const Draw& draw);
  absl::Status SlowLink(const Draw& draw);
  absl::Status ThrottleLink(const Draw& draw);
  absl::Status RefuseLink(const Draw& draw);
  // Between clients and jetd.
  absl::Status CutClients(const Draw& draw);
  absl::Status CutRequest(const Draw& draw);
  absl::Status CutClientAnswer(const Draw& draw);
  absl::Status HoldClients(const Draw& draw);
  absl::Status ThrottleClients(const Draw& draw);
  // Room.
  absl::Status FillDisk(const Draw& draw);
  absl::Status FillAccount(const Draw& draw);
  absl::Status FillAccountUnsealed(const Draw& draw);
  // A cluster.
  absl::Status StepDown(const Draw& draw);
  absl::Status KillStreamLeader(const Draw& draw);
  absl::Status KillTwo(const Draw& draw);
  absl::Status FreezeFollowers(const Draw& draw);
  absl::Status FreezeFollowersAtRest(const Draw& draw);
  absl::Status SplitLeader(const Draw& draw);
  absl::Status SplitFollower(const Draw& draw);
  absl::Status RollNats(const Draw& draw);

  const Options options_;
  std::string lacking_;
  std::mt19937_64 random_;
  history::Violations violations_;
  size_t nats_restarts_ = 0;
  std::unique_ptr<SmallDisk> disk_;  // null: none to be had
  std::unique_ptr<NatsNetwork> network_;
  std::vector<Member> members_;
  std::unique_ptr<LeaseKeeper> leases_;
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_FAULTS_OUTSIDE_WORLD_H_
