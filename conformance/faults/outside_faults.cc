// SPDX-License-Identifier: Apache-2.0
//
// What happens to an OutsideWorld. Each fault puts everything back in order before it returns.
#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "base/strings.h"
#include "conformance/faults/outside_world.h"
#include "etcdclient/client.h"

namespace jetd::conformance {
namespace {

using Direction = Relay::Direction;
using Split = NatsNetwork::Split;
using jetstream::NatsTestServer;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
namespace pb = etcdclient::pb;

constexpr char kStream[] = "KV_etcd";
constexpr milliseconds kPoll{10};
// A cut within a write comes when the next one does, which is soon under load.
constexpr milliseconds kUntilCut{1'000};
// How long a full disk may keep a nats-server that has room again from going on by itself.
constexpr milliseconds kRoomAgain{5'000};
constexpr milliseconds kLeaderPatience{60'000};
// How long a nats-server may take to read its configuration and to do as it says.
constexpr milliseconds kReloadPatience{30'000};
// Longer than the way to NATS and back.
constexpr etcdclient::CallOptions kBriefCall{.timeout = milliseconds(1'000)};
constexpr etcdclient::CallOptions kCall{.timeout = milliseconds(5'000)};

// For a fault that needs another program to come to a point first: nothing else hangs on it.
void Pause(milliseconds time) { std::this_thread::sleep_for(time); }

// Sizes that lie within a line, within a record, and behind a few of them.
size_t CutSize(uint64_t roll) { return roll % 3 == 0 ? roll % 40 : roll % 20'000; }

// Until one of them has cut, then all pass everything again.
void AwaitCut(const std::vector<Relay*>& relays) {
  const auto deadline = steady_clock::now() + kUntilCut;
  while (steady_clock::now() < deadline &&
         std::none_of(relays.begin(), relays.end(),
                      [](Relay* relay) { return relay->cut_is_due(); })) {
    Pause(kPoll);
  }
  for (Relay* relay : relays) relay->Release();
}

}  // namespace

const std::vector<OutsideWorld::Kind>& OutsideWorld::Kinds() {
  using W = OutsideWorld;
  static const std::vector<Kind> kinds = {
      {"jetd killed", Where::kAnywhere, false, &W::KillMember},
      {"jetd killed twice", Where::kAnywhere, false, &W::KillMemberTwice},
      {"jetd frozen", Where::kAnywhere, false, &W::FreezeMember},
      {"jetd ended in order", Where::kAnywhere, false, &W::StopMember},
      {"nats-server killed", Where::kAnywhere, false, &W::KillNats},
      {"nats-server killed, away for a while", Where::kOneServer, true, &W::KillNatsForLong},
      {"nats-server restarted in order", Where::kAnywhere, false, &W::StopNats},
      {"nats-server frozen", Where::kOneServer, true, &W::FreezeNats},
      {"link cut", Where::kAnywhere, false, &W::CutLink},
      {"link cut within a write", Where::kAnywhere, false, &W::CutWrite},
      {"link cut within an answer", Where::kAnywhere, false, &W::CutAnswer},
      {"link cut with writes in its buffers", Where::kAnywhere, false, &W::CutBuffered},
      {"link silent upwards", Where::kAnywhere, true, &W::HoldUp},
      {"link silent downwards", Where::kAnywhere, true, &W::HoldDown},
      {"link silent", Where::kAnywhere, true, &W::HoldLink},
      {"link silent, its bytes arrive behind those of the next", Where::kAnywhere, false,
       &W::HoldOldConnection},
      {"link slow", Where::kAnywhere, false, &W::SlowLink},
      {"link thin", Where::kAnywhere, false, &W::ThrottleLink},
      {"link refused", Where::kAnywhere, true, &W::RefuseLink},
      {"clients cut", Where::kAnywhere, false, &W::CutClients},
      {"clients cut within a request", Where::kAnywhere, false, &W::CutRequest},
      {"clients cut within an answer", Where::kAnywhere, false, &W::CutClientAnswer},
      {"clients silent", Where::kAnywhere, false, &W::HoldClients},
      {"clients thin", Where::kAnywhere, false, &W::ThrottleClients},
      {"disk full", Where::kSmallDisk, false, &W::FillDisk},
      {"account full", Where::kOneServer, false, &W::FillAccount},
      {"account full, link cut with writes in its buffers", Where::kOneServer, false,
       &W::FillAccountUnsealed},
      {"stream leader steps down", Where::kCluster, false, &W::StepDown},
      {"nats-server that leads the stream killed", Where::kCluster, false, &W::KillStreamLeader},
      {"two nats-servers killed", Where::kCluster, true, &W::KillTwo},
      {"followers of the stream leader frozen", Where::kCluster, true, &W::FreezeFollowers},
      {"followers of the stream leader frozen while nobody writes", Where::kCluster, false,
       &W::FreezeFollowersAtRest},
      {"stream leader split off", Where::kCluster, false, &W::SplitLeader},
      {"a follower split off", Where::kCluster, false, &W::SplitFollower},
      {"nats-servers restarted one by one", Where::kCluster, false, &W::RollNats},
  };
  return kinds;
}

// --- jetd ---------------------------------------------------------------------------------------

absl::Status OutsideWorld::KillMember(const Draw& draw) {
  return MemberOf(draw).faults->KillServer();
}

absl::Status OutsideWorld::KillMemberTwice(const Draw& draw) {
  if (absl::Status killed = MemberOf(draw).faults->KillServer(); !killed.ok()) return killed;
  Pause(draw.time / 8);
  return MemberOf(draw).faults->KillServer();
}

absl::Status OutsideWorld::FreezeMember(const Draw& draw) {
  MemberOf(draw).faults->FreezeServer(draw.time);
  return absl::OkStatus();
}

absl::Status OutsideWorld::StopMember(const Draw& draw) {
  return MemberOf(draw).faults->StopServer();
}

// --- nats-server --------------------------------------------------------------------------------

absl::Status OutsideWorld::KillNats(const Draw& draw) {
  ServerOf(draw).Kill();
  ServerOf(draw).Restart();
  return absl::OkStatus();
}

absl::Status OutsideWorld::KillNatsForLong(const Draw& draw) {
  ServerOf(draw).Kill();
  MemberOf(draw).probe->Watch(draw.time);
  ServerOf(draw).Restart();
  return absl::OkStatus();
}

absl::Status OutsideWorld::StopNats(const Draw& draw) {
  ServerOf(draw).Stop();
  ServerOf(draw).Restart();
  return absl::OkStatus();
}

absl::Status OutsideWorld::FreezeNats(const Draw& draw) {
  ServerOf(draw).Freeze();
  MemberOf(draw).probe->Watch(draw.time);
  ServerOf(draw).Thaw();
  return absl::OkStatus();
}

// --- between jetd and its nats-servers ----------------------------------------------------------

absl::Status OutsideWorld::CutLink(const Draw& draw) {
  OnLinks(draw, [](Relay& link) { link.Cut(); });
  return absl::OkStatus();
}

absl::Status OutsideWorld::CutWrite(const Draw& draw) {
  std::vector<Relay*> links;
  OnLinks(draw, [&](Relay& link) {
    link.CutAfter(Direction::kUp, CutSize(draw.roll));
    links.push_back(&link);
  });
  AwaitCut(links);
  return absl::OkStatus();
}

absl::Status OutsideWorld::CutAnswer(const Draw& draw) {
  std::vector<Relay*> links;
  OnLinks(draw, [&](Relay& link) {
    link.CutAfter(Direction::kDown, CutSize(draw.roll));
    links.push_back(&link);
  });
  AwaitCut(links);
  return absl::OkStatus();
}

// What jetd writes for some time gets as far as a buffer, its own, the kernel's or the network's,
// and is gone with the connection.
absl::Status OutsideWorld::CutBuffered(const Draw& draw) {
  OnLinks(draw, [](Relay& link) { link.Hold(Direction::kUp); });
  Pause(std::min(draw.time, kUntilCut));
  OnLinks(draw, [](Relay& link) {
    link.Cut();
    link.Release();
  });
  return absl::OkStatus();
}

absl::Status OutsideWorld::HoldUp(const Draw& draw) {
  OnLinks(draw, [](Relay& link) { link.Hold(Direction::kUp); });
  MemberOf(draw).probe->Watch(draw.time);
  OnLinks(draw, [](Relay& link) { link.Release(); });
  return absl::OkStatus();
}

absl::Status OutsideWorld::HoldDown(const Draw& draw) {
  OnLinks(draw, [](Relay& link) { link.Hold(Direction::kDown); });
  MemberOf(draw).probe->Watch(draw.time);
  OnLinks(draw, [](Relay& link) { link.Release(); });
  return absl::OkStatus();
}

absl::Status OutsideWorld::HoldLink(const Draw& draw) {
  OnLinks(draw, [](Relay& link) {
    link.Hold(Direction::kUp);
    link.Hold(Direction::kDown);
  });
  MemberOf(draw).probe->Watch(draw.time);
  OnLinks(draw, [](Relay& link) { link.Release(); });
  return absl::OkStatus();
}

// jetd gives the silent connection up after a while and makes another; then what it had sent on the
// old one arrives.
absl::Status OutsideWorld::HoldOldConnection(const Draw& draw) {
  OnLinks(draw, [](Relay& link) { link.HoldPresent(); });
  const auto connections = [&] {
    size_t accepted = 0;
    OnLinks(draw, [&](Relay& link) { accepted += link.counts().accepted; });
    return accepted;
  };
  const size_t before = connections();
  const auto deadline = steady_clock::now() + std::max(draw.time, options_.outage * 3 / 2);
  while (connections() == before && steady_clock::now() < deadline) Pause(kPoll);
  Pause(draw.time / 8);
  OnLinks(draw, [](Relay& link) { link.Release(); });
  return absl::OkStatus();
}

absl::Status OutsideWorld::SlowLink(const Draw& draw) {
  OnLinks(draw, [&](Relay& link) { link.Delay(milliseconds(1 + draw.roll % 200)); });
  Pause(draw.time);
  OnLinks(draw, [](Relay& link) { link.Release(); });
  return absl::OkStatus();
}

absl::Status OutsideWorld::ThrottleLink(const Draw& draw) {
  OnLinks(draw, [&](Relay& link) { link.Throttle(20'000 + draw.roll % 200'000); });
  Pause(draw.time);
  OnLinks(draw, [](Relay& link) { link.Release(); });
  return absl::OkStatus();
}

absl::Status OutsideWorld::RefuseLink(const Draw& draw) {
  OnLinks(draw, [](Relay& link) { link.Refuse(); });
  MemberOf(draw).probe->Watch(draw.time);
  OnLinks(draw, [](Relay& link) { link.Release(); });
  return absl::OkStatus();
}

// --- between clients and jetd -------------------------------------------------------------------

absl::Status OutsideWorld::CutClients(const Draw& draw) {
  MemberOf(draw).front->Cut();
  return absl::OkStatus();
}

absl::Status OutsideWorld::CutRequest(const Draw& draw) {
  MemberOf(draw).front->CutAfter(Direction::kUp, CutSize(draw.roll));
  AwaitCut({MemberOf(draw).front.get()});
  return absl::OkStatus();
}

absl::Status OutsideWorld::CutClientAnswer(const Draw& draw) {
  MemberOf(draw).front->CutAfter(Direction::kDown, CutSize(draw.roll));
  AwaitCut({MemberOf(draw).front.get()});
  return absl::OkStatus();
}

absl::Status OutsideWorld::HoldClients(const Draw& draw) {
  Relay& front = *MemberOf(draw).front;
  front.Hold(draw.roll % 2 == 0 ? Direction::kUp : Direction::kDown);
  if (draw.roll % 3 == 0) front.Hold(Direction::kUp);
  Pause(draw.time);
  if (draw.roll % 5 == 0) front.Cut();
  front.Release();
  return absl::OkStatus();
}

absl::Status OutsideWorld::ThrottleClients(const Draw& draw) {
  MemberOf(draw).front->Throttle(20'000 + draw.roll % 200'000);
  Pause(draw.time);
  MemberOf(draw).front->Release();
  return absl::OkStatus();
}

// --- room ---------------------------------------------------------------------------------------

absl::Status OutsideWorld::FillDisk(const Draw& draw) {
  if (absl::Status filled = disk_->Fill(); !filled.ok()) return filled;
  Pause(draw.time);
  disk_->Free();
  // nats-server turns JetStream off when a write fails, until it is started again.
  const auto deadline = steady_clock::now() + kRoomAgain;
  auto client = MemberOf(draw).server->Connect();
  if (!client.ok()) return client.status();
  pb::LeaseGrantRequest write;
  write.set_ttl(600);
  while (steady_clock::now() < deadline) {
    if ((*client)->Call(write, {.timeout = milliseconds(1'000)}).ok()) return absl::OkStatus();
    Pause(kPoll);
  }
  ++nats_restarts_;
  return StopNats(draw);
}

// From some moment on: nats-server reads its configuration in its own time.
absl::Status OutsideWorld::WriteIsRefused(const Member& member) {
  auto client = member.server->Connect();
  if (!client.ok()) return client.status();
  const auto deadline = steady_clock::now() + kReloadPatience;
  pb::LeaseGrantRequest write;
  write.set_ttl(600);
  absl::Status refused = (*client)->Call(write, kCall).status();
  while (refused.code() != absl::StatusCode::kResourceExhausted && steady_clock::now() < deadline) {
    Pause(kPoll);
    refused = (*client)->Call(write, kCall).status();
  }
  if (refused.code() != absl::StatusCode::kResourceExhausted) {
    violations_.Add("full account",
                    Cat("a write is answered: ", refused.ok() ? "OK" : "", MessageOf(refused)));
  }
  pb::RangeRequest read;
  read.set_key("/faults/probe");
  const absl::Status answered = (*client)->Call(read, kCall).status();
  if (!answered.ok()) {
    violations_.Add("full account", Cat("a read is answered: ", MessageOf(answered)));
  }
  return absl::OkStatus();
}

// Below what the bucket takes already: nothing more fits.
absl::Status OutsideWorld::FillAccount(const Draw& draw) {
  network_->LimitAccount(1'024);
  Pause(draw.time);
  const absl::Status checked = WriteIsRefused(MemberOf(draw));
  network_->LimitAccount(-1);
  return checked;
}

// Nobody knows whether what was in the buffers may yet arrive: jetd has to begin a term to be sure,
// and that takes a record.
absl::Status OutsideWorld::FillAccountUnsealed(const Draw& draw) {
  OnLinks(draw, [](Relay& link) { link.Hold(Direction::kUp); });
  Pause(std::min(draw.time, kUntilCut));
  network_->LimitAccount(1'024);
  OnLinks(draw, [](Relay& link) {
    link.Cut();
    link.Release();
  });
  const absl::Status checked = WriteIsRefused(MemberOf(draw));
  network_->LimitAccount(-1);
  return checked;
}

// --- a cluster ----------------------------------------------------------------------------------

absl::Status OutsideWorld::StepDown(const Draw& /*draw*/) {
  return network_->StepDown(kStream, kLeaderPatience);
}

absl::Status OutsideWorld::KillStreamLeader(const Draw& draw) {
  const auto leader = network_->FindStreamLeader(kStream, kLeaderPatience);
  if (!leader.ok()) return leader.status();
  network_->server(*leader).Kill();
  Pause(draw.time);
  network_->server(*leader).Restart();
  return absl::OkStatus();
}

// One is left, whichever: it can say nothing for certain.
absl::Status OutsideWorld::KillTwo(const Draw& draw) {
  const size_t left = draw.roll % network_->size();
  OnServersBut(left, [](NatsTestServer& server) { server.Kill(); });
  MemberOf(draw).probe->Watch(draw.time);
  OnServersBut(left, [](NatsTestServer& server) { server.Restart(); });
  return absl::OkStatus();
}

// The leader goes on answering by itself what it need not ask them for.
absl::Status OutsideWorld::FreezeFollowers(const Draw& draw) {
  const auto leader = network_->FindStreamLeader(kStream, kLeaderPatience);
  if (!leader.ok()) return leader.status();
  OnServersBut(*leader, [](NatsTestServer& server) { server.Freeze(); });
  MemberOf(draw).probe->Watch(draw.time);
  OnServersBut(*leader, [](NatsTestServer& server) { server.Thaw(); });
  return absl::OkStatus();
}

// What is in flight to a stream leader without followers is never answered, and what is asked of
// it after that waits behind it. So it can be believed only by a jetd that is connected to it and
// has nothing in flight: clients are held until that is so.
absl::Status OutsideWorld::FreezeFollowersAtRest(const Draw& draw) {
  const auto leader = network_->FindStreamLeader(kStream, kLeaderPatience);
  if (!leader.ok()) return leader.status();
  for (const Member& member : members_) member.front->Hold(Direction::kUp);
  const auto& links = network_->links(draw.member);
  for (size_t i = 0; i < links.size(); ++i) {
    if (i != *leader) links[i]->Refuse();
  }
  // What was sent before it is answered when this is.
  MemberOf(draw).probe->AwaitRecovery(kLeaderPatience);
  OnServersBut(*leader, [](NatsTestServer& server) { server.Freeze(); });
  const absl::Status checked = ReadIsNotAnswered(MemberOf(draw));
  OnServersBut(*leader, [](NatsTestServer& server) { server.Thaw(); });
  OnLinks(draw, [](Relay& link) { link.Release(); });
  for (const Member& member : members_) member.front->Release();
  return checked;
}

absl::Status OutsideWorld::ReadIsNotAnswered(const Member& member) {
  auto client = member.server->Connect();
  if (!client.ok()) return client.status();
  pb::RangeRequest read;
  read.set_key("/faults/probe");
  const absl::Status answered = (*client)->Call(read, kBriefCall).status();
  if (answered.ok()) {
    violations_.Add("answered without NATS", "a read whose stream leader had no followers");
  } else if (answered.code() != absl::StatusCode::kUnavailable &&
             answered.code() != absl::StatusCode::kDeadlineExceeded) {
    violations_.Add("strange error", Cat("a read: ", MessageOf(answered)));
  }
  return absl::OkStatus();
}

// jetd may be on either side; the larger one elects another.
absl::Status OutsideWorld::SplitLeader(const Draw& draw) {
  const auto leader = network_->FindStreamLeader(kStream, kLeaderPatience);
  if (!leader.ok()) return leader.status();
  network_->SplitOff(*leader, draw.roll % 2 == 0 ? Split::kSilent : Split::kRefused);
  Pause(draw.roll % 3 == 0 ? std::max(draw.time, options_.outage * 2) : draw.time);
  network_->Heal();
  return absl::OkStatus();
}

absl::Status OutsideWorld::SplitFollower(const Draw& draw) {
  const auto leader = network_->FindStreamLeader(kStream, kLeaderPatience);
  if (!leader.ok()) return leader.status();
  network_->SplitOff((*leader + 1) % network_->size(),
                     draw.roll % 2 == 0 ? Split::kSilent : Split::kRefused);
  Pause(draw.time);
  network_->Heal();
  return absl::OkStatus();
}

absl::Status OutsideWorld::RollNats(const Draw& draw) {
  for (size_t i = 0; i < network_->size(); ++i) {
    network_->server(i).Stop();
    Pause(draw.time / 8);
    network_->server(i).Restart();
    // The next one only when this one is there again.
    const auto leader = network_->FindStreamLeader(kStream, kLeaderPatience);
    if (!leader.ok()) return leader.status();
    for (const Member& member : members_) member.probe->AwaitRecovery(kLeaderPatience);
  }
  return absl::OkStatus();
}

}  // namespace jetd::conformance
