// SPDX-License-Identifier: Apache-2.0
#include "conformance/faults/outside_world.h"

#include <algorithm>
#include <string_view>
#include <thread>
#include <utility>

#include "base/strings.h"
#include "conformance/history/stream_truth.h"

namespace jetd::conformance {
namespace {

using etcdclient::ServerProcess;
using history::Violations;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// A cluster elects leaders first.
constexpr milliseconds kRecovery{60'000};
constexpr milliseconds kLeasePatience{30'000};
constexpr milliseconds kTruthPatience{60'000};
constexpr milliseconds kTruthPause{200};

// An empty word would name all of them.
bool Names(std::string_view name, const std::string& part) {
  return !part.empty() && name.find(part) != std::string_view::npos;
}

}  // namespace

OutsideWorld::OutsideWorld(Options options) : options_(std::move(options)), random_(options_.seed) {
  if (options_.nats_servers > 1) return;
  auto disk = SmallDisk::Make(options_.disk_bytes);
  if (disk.ok()) {
    disk_ = *std::move(disk);
  } else {
    lacking_ = Cat("no full disk on this machine: ", MessageOf(disk.status()));
  }
}

// What it has is put in order first: a frozen or silent program would not end.
OutsideWorld::~OutsideWorld() { leases_ = nullptr; }

absl::Status OutsideWorld::Start() {
  if (std::none_of(Kinds().begin(), Kinds().end(),
                   [this](const Kind& kind) { return Possible(kind); })) {
    return MakeStatus(absl::StatusCode::kNotFound, lacking_);
  }
  auto network = NatsNetwork::Start({.servers = options_.nats_servers,
                                     .members = options_.members,
                                     .store_dir = disk_ == nullptr ? "" : disk_->folder() + "/js"});
  if (!network.ok()) return network.status();
  network_ = *std::move(network);
  for (size_t i = 0; i < static_cast<size_t>(options_.members); ++i) {
    ServerProcess::Options server = options_.server;
    server.flags.push_back("--nats-url=" + network_->relayed_urls(i));
    server.flags.push_back(Cat("--nats-replicas=", options_.nats_servers));
    if (options_.members > 1) server.flags.push_back(Cat("--name=m", i));
    auto started = ServerProcess::Start(std::move(server));
    if (!started.ok()) return started.status();
    Member& member = members_.emplace_back();
    member.server = *std::move(started);
    if (absl::Status ready = member.server->WaitReady(options_.patience); !ready.ok()) return ready;
    member.faults =
        std::make_unique<ServerFaults>(member.server.get(), options_.seed + i, options_.patience);
    const std::string& endpoint = member.server->endpoint();
    auto front = Relay::Start(std::stoi(endpoint.substr(endpoint.rfind(':') + 1)));
    if (!front.ok()) return front.status();
    member.front = *std::move(front);
    member.probe = std::make_unique<OutageProbe>(
        OutageProbe::Options{.endpoint = endpoint, .log_path = member.server->log_path()});
  }
  leases_ = std::make_unique<LeaseKeeper>(
      LeaseKeeper::Options{.endpoints = endpoints(), .seed = options_.seed});
  return absl::OkStatus();
}

std::vector<std::string> OutsideWorld::endpoints() const {
  std::vector<std::string> endpoints;
  for (const Member& member : members_) {
    endpoints.push_back(Cat("http://127.0.0.1:", member.front->port()));
  }
  return endpoints;
}

bool OutsideWorld::Fits(const Kind& kind, int nats_servers) {
  return kind.where == Where::kAnywhere || (kind.where == Where::kCluster) == (nats_servers > 1);
}

absl::Status OutsideWorld::CheckNames(const Options& options) {
  std::string names;
  std::vector<std::string> lacking = options.only;
  for (const Kind& kind : Kinds()) {
    if (!Fits(kind, options.nats_servers)) continue;
    CatTo(names, names.empty() ? "" : ", ", "\"", kind.name, "\"");
    std::erase_if(lacking, [&](const std::string& part) { return Names(kind.name, part); });
  }
  if (lacking.empty()) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kInvalidArgument, "no fault has \"", lacking.front(),
                    "\" in its name; with --nats-servers ", options.nats_servers, " there are ",
                    names);
}

bool OutsideWorld::Possible(const Kind& kind) const {
  if (!Fits(kind, options_.nats_servers)) return false;
  if (kind.where == Where::kSmallDisk && disk_ == nullptr) return false;
  return options_.only.empty() ||
         std::any_of(options_.only.begin(), options_.only.end(),
                     [&](const std::string& part) { return Names(kind.name, part); });
}

OutsideWorld::Draw OutsideWorld::NextDraw(const Kind& kind) {
  const auto longest = static_cast<uint64_t>(options_.longest.count());
  // Mostly shorter than clients wait, now and then longer.
  const uint64_t length = random_() % 20;
  const uint64_t most_ms = length < 12 ? longest / 8 : (length < 17 ? longest / 3 : longest);
  Draw draw{.time = milliseconds(20 + random_() % most_ms), .roll = random_()};
  draw.member = random_() % static_cast<uint64_t>(options_.members);
  if (kind.outage && random_() % 4 == 0) draw.time = std::max(draw.time, options_.outage);
  return draw;
}

std::vector<history::World::Fault> OutsideWorld::NextFaults(size_t operations) {
  std::vector<const Kind*> possible;
  for (const Kind& kind : Kinds()) {
    if (Possible(kind)) possible.push_back(&kind);
  }
  std::vector<Fault> faults;
  for (size_t i = 0; i < options_.faults && !possible.empty(); ++i) {
    const Kind* const kind = possible[random_() % possible.size()];
    const Draw draw = NextDraw(*kind);
    faults.push_back(
        {kind->name, random_() % operations, [this, kind, draw] { return Inflict(*kind, draw); }});
  }
  std::sort(faults.begin(), faults.end(),
            [](const Fault& a, const Fault& b) { return a.after < b.after; });
  return faults;
}

absl::Status OutsideWorld::Inflict(const Kind& kind, const Draw& draw) {
  const size_t known = violations_.lines().size();
  absl::Status done = (this->*kind.inflict)(draw);
  if (violations_.lines().size() > known) {
    violations_.Add("fault", Cat("what stands above was found at: ", kind.name, " (",
                                 draw.time.count(), " ms)\n", MemberOf(draw).server->LogTail()));
  }
  if (!done.ok()) return done;
  for (const Member& member : members_) {
    member.probe->AwaitRecovery(kRecovery);
    Violations found = member.probe->TakeViolations();
    if (!found.empty()) {
      violations_.Add("fault", Cat("what follows was found at: ", kind.name, " (",
                                   draw.time.count(), " ms)\n", member.server->LogTail()));
    }
    violations_.Merge(found);
  }
  return absl::OkStatus();
}

absl::Status OutsideWorld::CheckRunning() {
  for (const Member& member : members_) {
    if (member.server->running()) continue;
    return MakeStatus(absl::StatusCode::kInternal,
                      "jetd ended by itself: ", member.server->HowItEnded(), "\n",
                      member.server->LogTail());
  }
  for (size_t i = 0; i < network_->size(); ++i) {
    if (!network_->server(i).running()) {
      return MakeStatus(absl::StatusCode::kInternal, "nats-server ", i, " ended by itself");
    }
  }
  return absl::OkStatus();
}

absl::Status OutsideWorld::WaitReady() {
  for (const Member& member : members_) {
    if (absl::Status ready = member.server->WaitReady(options_.patience); !ready.ok()) return ready;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::vector<history::Transaction>>> OutsideWorld::ReadTruth(
    const history::KeySpace& keys, int64_t first, int64_t last) {
  // A stream of several servers may be without a leader for a moment, and then nobody answers.
  const auto deadline = steady_clock::now() + kTruthPatience;
  while (true) {
    auto read = history::ReadStream({.nats_urls = network_->urls(), .patience = options_.patience},
                                    keys, first, last);
    if (read.ok()) return std::optional<std::vector<history::Transaction>>(*std::move(read));
    if (steady_clock::now() > deadline) return read.status();
    std::this_thread::sleep_for(kTruthPause);
  }
}

Violations OutsideWorld::TakeViolations() {
  Violations found = std::exchange(violations_, {});
  if (leases_ != nullptr) found.Merge(leases_->TakeViolations());
  return found;
}

std::string OutsideWorld::LogTail() const {
  std::string text;
  for (const Member& member : members_) CatTo(text, member.server->LogTail(), "\n");
  return text;
}

void OutsideWorld::Settle() {
  if (leases_ != nullptr) leases_->Settle(kLeasePatience);
}

OutsideWorld::Counts OutsideWorld::counts() const {
  Counts counts;
  counts.nats_restarts = nats_restarts_;
  if (leases_ != nullptr) counts.leases = leases_->counts();
  for (size_t i = 0; i < members_.size(); ++i) {
    const OutageProbe::Counts& seen = members_[i].probe->counts();
    OutageProbe::Counts& all = counts.outages;
    all.outages += seen.outages;
    all.calls += seen.calls;
    all.recoveries += seen.recoveries;
    all.slowest_first = std::max(all.slowest_first, seen.slowest_first);
    all.slowest_later = std::max(all.slowest_later, seen.slowest_later);
    all.slowest_recovery = std::max(all.slowest_recovery, seen.slowest_recovery);
    counts.connections_cut += members_[i].front->counts().cut;
    for (const auto& link : network_->links(i)) counts.connections_cut += link->counts().cut;
  }
  return counts;
}

}  // namespace jetd::conformance
