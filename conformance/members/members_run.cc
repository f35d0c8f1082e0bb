// SPDX-License-Identifier: Apache-2.0
#include "conformance/members/members_run.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <random>
#include <thread>
#include <utility>

#include "base/strings.h"
#include "conformance/crash/watch_follower.h"
#include "conformance/members/event_check.h"
#include "conformance/members/member_reader.h"
#include "conformance/members/register_writer.h"
#include "conformance/members/registers.h"

namespace jetd::conformance {
namespace {

using etcdclient::Client;
using etcdclient::ServerProcess;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;
namespace pb = etcdclient::pb;

constexpr char kPrefix[] = "/members/";
constexpr char kLoadPrefix[] = "/members/load/";
constexpr size_t kRegisters = 32;
constexpr size_t kWriters = 4;
constexpr size_t kPutsInTxn = 100;
constexpr size_t kValueBytes = 256;
constexpr milliseconds kPoll{5};
// Behind a take-over: what goes wrong a moment later belongs to it.
constexpr milliseconds kAftermath{200};
// A take-over that took longer is told at once.
constexpr milliseconds kTold{500};
constexpr milliseconds kLeasePatience{30'000};
// After so many that failed, one after the other, the leader is killed: the run goes on, so that
// all of it is judged.
constexpr size_t kFailedMoves = 5;
static_assert(kFailedMoves > MoveTally::kFew, "a MoveLeader that never works is found");
constexpr etcdclient::CallOptions kPatient{
    .timeout = milliseconds(60'000), .unreachable = etcdclient::CallOptions::Unreachable::kWait};

// Through one member: many keys, and the registers at 0. The store's revision then.
absl::StatusOr<int64_t> Fill(const std::string& endpoint, size_t keys) {
  auto client = Client::Connect({.endpoint = endpoint});
  if (!client.ok()) return client.status();
  pb::TxnRequest request;
  const auto add = [&](const std::string& key, const std::string& value) {
    pb::PutRequest& put = *request.add_success()->mutable_request_put();
    put.set_key(key);
    put.set_value(value);
  };
  for (size_t i = 0; i < keys;) {
    request.Clear();
    for (; i < keys && static_cast<size_t>(request.success_size()) < kPutsInTxn; ++i) {
      add(Cat(kLoadPrefix, i), std::string(kValueBytes, static_cast<char>('a' + i % 26)));
    }
    if (const auto done = (*client)->Call(request, kPatient); !done.ok()) return done.status();
  }
  request.Clear();
  for (size_t i = 0; i < kRegisters; ++i) add(Registers::KeyOf(i), Registers::ValueOf(0));
  const auto done = (*client)->Call(request, kPatient);
  if (!done.ok()) return done.status();
  return done->header().revision();
}

// What every run does meanwhile. What is started is stopped in the reverse order.
class Traffic {
 public:
  Traffic(const MembersOptions& options, const std::vector<std::string>& endpoints, int64_t start)
      : start_(start), in_flight_(options.reads_in_flight), registers_(kRegisters) {
    for (size_t i = 0; i < endpoints.size(); ++i) {
      watchers_.push_back(
          std::make_unique<WatchFollower>(WatchFollower::Options{.name = Cat("watcher of m", i),
                                                                 .endpoint = endpoints[i],
                                                                 .prefix = kPrefix,
                                                                 .start_revision = start + 1}));
    }
    beat_ = std::make_unique<Beat>(Beat::Options{.endpoints = endpoints});
    if (options.reads == 0) return;
    leases_ = std::make_unique<LeaseKeeper>(
        LeaseKeeper::Options{.endpoints = endpoints, .seed = options.seed});
    for (size_t i = 0; i < kWriters; ++i) {
      writers_.push_back(std::make_unique<RegisterWriter>(
          RegisterWriter::Options{
              .endpoints = endpoints, .first = i, .step = kWriters, .seed = options.seed + i},
          &registers_));
    }
    for (size_t i = 0; i < endpoints.size(); ++i) AddReader(Cat("m", i), endpoints[i]);
  }

  void AddReader(const std::string& name, const std::string& endpoint) {
    readers_.push_back(
        std::make_unique<MemberReader>(MemberReader::Options{.name = name,
                                                             .endpoint = endpoint,
                                                             .in_flight = in_flight_,
                                                             .seed = readers_.size() + 1},
                                       &registers_));
  }

  [[nodiscard]] Beat& beat() { return *beat_; }
  [[nodiscard]] Registers& registers() { return registers_; }

  // No fault comes any more. Stops all, and holds it against what the members have.
  absl::Status Judge(const std::vector<std::string>& endpoints, MembersReport& report) {
    if (leases_ != nullptr) {
      leases_->Settle(kLeasePatience);
      report.leases = leases_->counts();
      report.violations.Merge(leases_->TakeViolations());
    }
    for (const auto& reader : readers_) {
      report.reads_of.push_back(reader->reads());
      for (const auto& [error, count] : reader->errors()) report.errors[error] += count;
    }
    readers_.clear();
    writers_.clear();
    beat_->Stop();
    for (const std::string& endpoint : endpoints) {
      const absl::Status judged = beat_->Judge(endpoint, report.violations);
      if (!judged.ok()) return judged;
    }
    report.beats = beat_->counts();
    for (const auto& [error, count] : beat_->errors()) report.errors[error] += count;
    report.reads = registers_.reads();
    report.stale = registers_.stale();
    report.register_writes = registers_.writes();
    report.violations.Merge(registers_.TakeViolations());
    return JudgeWatchers(endpoints[0], report);
  }

 private:
  absl::Status JudgeWatchers(const std::string& endpoint, MembersReport& report) {
    auto client = Client::Connect({.endpoint = endpoint});
    if (!client.ok()) return client.status();
    pb::PutRequest last;
    last.set_key(Cat(kPrefix, "end"));
    const auto end = (*client)->Call(last, kPatient);
    if (!end.ok()) return end.status();
    const int64_t revision = end->header().revision();
    const auto deadline = steady_clock::now() + kPatient.timeout;
    for (const auto& watcher : watchers_) {
      while (watcher->seen() < revision && steady_clock::now() < deadline) {
        std::this_thread::sleep_for(kPoll);
      }
      watcher->Stop();
    }
    for (size_t i = 0; i < watchers_.size(); ++i) {
      const WatchFollower& watcher = *watchers_[i];
      for (const std::string& wrong : watcher.violations()) {
        report.violations.Add("watch order", wrong);
      }
      CheckEvents(Cat("the watcher of m", i), start_ + 1, revision, watcher.events(),
                  watchers_[0]->events(), report.violations);
      report.watch_events += watcher.events().size();
      report.watch_streams += static_cast<size_t>(watcher.streams());
    }
    report.watchers = watchers_.size();
    return absl::OkStatus();
  }

  const int64_t start_;
  const size_t in_flight_;
  Registers registers_;
  std::vector<std::unique_ptr<WatchFollower>> watchers_;
  std::unique_ptr<Beat> beat_;
  std::unique_ptr<LeaseKeeper> leases_;
  std::vector<std::unique_ptr<RegisterWriter>> writers_;
  std::vector<std::unique_ptr<MemberReader>> readers_;
};

class Run {
 public:
  Run(const MembersOptions& options, const std::function<void(const std::string&)>& progress)
      : options_(options), progress_(progress), random_(options.seed) {}

  absl::StatusOr<MembersReport> Do() {
    const auto start = steady_clock::now();
    auto cluster = Cluster::Start(options_.cluster);
    if (!cluster.ok()) return cluster.status();
    cluster_ = *std::move(cluster);
    const absl::Status done = options_.cold_moves > 0 ? MoveCold() : ChangeLeaders();
    if (!done.ok()) report_.violations.Add("no answer", MessageOf(done));
    if (report_.moves.TooManyFailed(options_.failed_moves_percent)) {
      report_.violations.Add("failed moves", report_.moves.Text());
    }
    report_.seconds = std::chrono::duration<double>(steady_clock::now() - start).count();
    return report_;
  }

 private:
  absl::Status ChangeLeaders() {
    const auto filled = Fill(cluster_->endpoints()[0], options_.keys);
    if (!filled.ok()) return filled.status();
    if (absl::Status agreed = Agree(); !agreed.ok()) return agreed;
    Traffic traffic(options_, cluster_->endpoints(), *filled);
    if (options_.impostor) {
      if (absl::Status added = AddImpostor(traffic); !added.ok()) return added;
    }
    for (size_t i = 0; i < options_.changes; ++i) {
      if (absl::Status read = AwaitReads(traffic, i); !read.ok()) return read;
      const std::string& kind = options_.kinds[random_() % options_.kinds.size()];
      if (absl::Status changed = Change(kind, traffic); !changed.ok()) {
        return MakeStatus(changed.code(), kind, ": ", MessageOf(changed));
      }
      if (absl::Status agreed = Agree(); !agreed.ok()) return agreed;
      if (i % 10 == 9 || i + 1 == options_.changes) {
        progress_(Cat(i + 1, " changes of the leader, ", traffic.registers().reads(), " reads, ",
                      traffic.registers().stale(), " of them stale"));
      }
    }
    if (absl::Status read = AwaitReads(traffic, options_.changes); !read.ok()) return read;
    return traffic.Judge(cluster_->endpoints(), report_);
  }

  absl::Status Agree() { return cluster_->AwaitAgreement(report_.violations); }

  // So much of the reads belongs before the next change.
  absl::Status AwaitReads(Traffic& traffic, size_t changes) {
    const size_t wanted = options_.reads * (changes + 1) / (options_.changes + 1);
    size_t last = 0;
    auto deadline = steady_clock::now() + options_.cluster.patience;
    while (traffic.registers().reads() < wanted) {
      if (traffic.registers().reads() != last) {
        last = traffic.registers().reads();
        deadline = steady_clock::now() + options_.cluster.patience;
      }
      if (steady_clock::now() > deadline) {
        return MakeStatus(absl::StatusCode::kDeadlineExceeded, "reads are not answered\n",
                          cluster_->LogTails());
      }
      std::this_thread::sleep_for(kPoll);
    }
    return absl::OkStatus();
  }

  absl::Status Change(const std::string& kind, Traffic& traffic) {
    const auto leader = cluster_->FindLeader();
    if (!leader.ok()) return leader.status();
    ServerProcess& process = cluster_->member(*leader);
    const size_t others = cluster_->size() - 1;
    const size_t other = (*leader + 1 + random_() % others) % cluster_->size();
    Beat& beat = traffic.beat();
    beat.Use(other);
    // A first write through that member, so that its connection is there.
    const auto before = steady_clock::now();
    if (!beat.AwaitAnswer(before, options_.cluster.patience)) return NoWrite();
    const auto start = steady_clock::now();
    absl::Status done;
    if (kind == "kill") process.Kill(ServerProcess::Scope::kTree);
    if (kind == "stop") done = process.Stop(options_.cluster.patience);
    if (kind == "freeze") process.Suspend(ServerProcess::Scope::kTree);
    if (kind == "move") {
      done = cluster_->MoveLeader(*leader, other);
      // On a machine that is busy with something else the successor may be late; then the leader
      // goes on, and says so.
      if (!done.ok()) {
        report_.moves.AddFailed();
        ++report_.errors[Cat("MoveLeader: ", MessageOf(done))];
        return Change(++failed_moves_ < kFailedMoves ? kind : "kill", traffic);
      }
      report_.moves.AddMade();
      failed_moves_ = 0;
    }
    if (!done.ok()) return done;
    if (!beat.AwaitAnswer(steady_clock::now(), options_.cluster.patience)) return NoWrite();
    std::this_thread::sleep_for(kAftermath);
    const nanoseconds gap = beat.LongestGap(start);
    report_.outages[kind].Add(gap.count());
    if (gap > kTold) {
      progress_(Cat(kind, " of m", *leader, ", writes through m", other, ": none for ",
                    std::chrono::duration_cast<milliseconds>(gap).count(), " ms"));
    }
    if (kind == "kill" || kind == "stop") return process.Restart();
    if (kind == "freeze") {
      std::this_thread::sleep_for(milliseconds(random_() % 1'000));
      process.Resume(ServerProcess::Scope::kTree);
    }
    return absl::OkStatus();
  }

  [[nodiscard]] absl::Status NoWrite() const {
    return MakeStatus(absl::StatusCode::kDeadlineExceeded, "no write is answered\n",
                      cluster_->LogTails());
  }

  absl::Status AddImpostor(Traffic& traffic) {
    auto server = ServerProcess::Start(options_.cluster.server);
    if (!server.ok()) return server.status();
    impostor_ = *std::move(server);
    if (absl::Status ready = impostor_->WaitReady(options_.cluster.patience); !ready.ok()) {
      return ready;
    }
    const auto filled = Fill(impostor_->endpoint(), 0);
    if (!filled.ok()) return filled.status();
    traffic.AddReader("an impostor", impostor_->endpoint());
    return absl::OkStatus();
  }

  // Killed here, started there, on nothing but what NATS has.
  absl::Status MoveCold() {
    std::unique_ptr<ServerProcess> moved;
    const auto filled = Fill(cluster_->endpoints()[0], options_.keys);
    if (!filled.ok()) return filled.status();
    ServerProcess* serving = &cluster_->member(0);
    int64_t revision = *filled;
    for (size_t i = 0; i < options_.cold_moves; ++i) {
      const auto start = steady_clock::now();
      serving->Kill(ServerProcess::Scope::kTree);
      auto next = cluster_->StartAnother();
      if (!next.ok()) return next.status();
      auto client = (*next)->Connect();
      if (!client.ok()) return client.status();
      pb::PutRequest request;
      request.set_key(Cat(kPrefix, "moved"));
      request.set_value(Cat(i));
      auto answer = (*client)->Call(request, kPatient);
      while (!answer.ok() && steady_clock::now() < start + options_.cluster.patience) {
        std::this_thread::sleep_for(kPoll);
        answer = (*client)->Call(request, kPatient);
      }
      const nanoseconds took = steady_clock::now() - start;
      if (!answer.ok()) return answer.status();
      report_.outages["cold move"].Add(took.count());
      if (answer->header().revision() != revision + 1) {
        report_.violations.Add("lost write", Cat("revision ", answer->header().revision(),
                                                 " follows ", revision, " after a cold move"));
      }
      revision = answer->header().revision();
      ++report_.register_writes;
      moved = *std::move(next);
      serving = moved.get();
    }
    return absl::OkStatus();
  }

  const MembersOptions options_;
  const std::function<void(const std::string&)> progress_;
  std::mt19937_64 random_;
  MembersReport report_;
  size_t failed_moves_ = 0;
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<ServerProcess> impostor_;
};

}  // namespace

absl::StatusOr<MembersReport> RunMembers(const MembersOptions& options,
                                         const std::function<void(const std::string&)>& progress) {
  return Run(options, progress).Do();
}

}  // namespace jetd::conformance
