// SPDX-License-Identifier: Apache-2.0
#include "conformance/differential/lockstep.h"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "base/mutex.h"
#include "base/strings.h"
#include "conformance/differential/compare.h"
#include "conformance/differential/generator.h"
#include "conformance/differential/mutant.h"

namespace jetd::conformance::differential {
namespace {

using std::chrono::steady_clock;

// Events are compared at least this often.
constexpr int64_t kSettleEvery = 40;
constexpr std::chrono::seconds kEventsTimeout{20};
// In which a server has looked after watches that start in the past; etcd does so every 100 ms.
constexpr std::chrono::milliseconds kCatchUp{400};
// How far the time that leases have left may be apart; after a restart by as long as that takes.
constexpr int64_t kTtl = 2, kTtlAfterKill = 60;
// A lease that is granted for less is to run out in the run.
constexpr std::chrono::seconds kShortTtl{10};
// After the last step, for events that nobody asked for.
constexpr std::chrono::milliseconds kLinger{150};

// Takes steps on a side, on a thread of its own, so that both servers work at a time.
class Lane {
 public:
  explicit Lane(Side* side) : side_(*side), thread_([this] { Loop(); }) {}
  ~Lane() {
    {
      MutexLock lock(mutex_);
      stop_ = true;
      changed_.NotifyAll();
    }
    thread_.join();
  }

  void Start(const Step* step) {
    MutexLock lock(mutex_);
    step_ = step;
    changed_.NotifyAll();
  }
  [[nodiscard]] Answer Wait() {
    MutexLock lock(mutex_);
    while (!answer_.has_value()) changed_.Wait(mutex_);
    Answer answer = *std::move(answer_);
    answer_.reset();
    return answer;
  }

 private:
  void Loop() {
    while (true) {
      const Step* step = nullptr;
      {
        MutexLock lock(mutex_);
        while (step_ == nullptr && !stop_) changed_.Wait(mutex_);
        if (stop_) return;
        step = std::exchange(step_, nullptr);
      }
      Answer answer = side_.Run(*step);
      MutexLock lock(mutex_);
      answer_ = std::move(answer);
      changed_.NotifyAll();
    }
  }

  Side& side_;
  Mutex mutex_;
  CondVar changed_;
  const Step* step_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::optional<Answer> answer_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // last: uses what stands above
};

class Lockstep {
 public:
  Lockstep(const RunOptions& options, Side* etcd, Side* server)
      : options_(options),
        etcd_(*etcd),
        server_(*server),
        lane_(server),
        generator_(options.seed, &model_) {}

  RunResult Run() {
    while (result_.requests < options_.requests && result_.findings.empty()) {
      const Step step = generator_.Next();
      Take(step);
    }
    if (result_.findings.empty()) {
      Settle("the end");
      std::this_thread::sleep_for(kLinger);
      Settle("the end, a little later");
      CompareStores();
      CheckViolations("the end");
    }
    return std::move(result_);
  }

 private:
  // One step on both servers; false if a difference was found.
  bool Take(const Step& step) {
    ++result_.requests;
    const std::string text = options_.verbose ? TextOf(step.call, 600) : "";
    if (options_.verbose) std::cerr << result_.requests << " " << text << "\n";
    if (step.settle_first || result_.requests % kSettleEvery == 0) {
      if (!Settle(TextOf(step.call, 600))) return false;
    }
    if (std::holds_alternative<pb::CompactionRequest>(step.call)) WaitSynced();
    if (std::holds_alternative<KillServers>(step.call)) {
      const absl::Status restarted = options_.kill_servers();
      killed_ = true;
      if (!restarted.ok()) return Report(NameOf(step.call), restarted.ToString(), "", "");
    }
    const bool both = step.sides == Step::Sides::kBoth;
    if (!both && !options_.has_range_stream) return true;  // two etcds
    const auto begun = steady_clock::now();
    lane_.Start(&step);
    const Answer etcd = both ? etcd_.Run(step) : Answer();
    const Answer server = lane_.Wait();
    WatchLeases(step, etcd, begun);
    const std::string what =
        Difference(step, etcd, server,
                   {.hashes = generator_.hashes_are_comparable(),
                    .ttl_seconds = apart_s_ + (killed_ ? kTtlAfterKill : kTtl)});
    if (!what.empty()) return Report(TextOf(step.call), what, TextOf(etcd), TextOf(server));
    result_.coverage.CountStep(step, both ? etcd : server);
    if (both) {
      const int64_t before = model_.changes();
      model_.Apply(step, etcd);
      if (model_.changes() != before) ++result_.changed;
    }
    return CheckViolations(TextOf(step.call, 600));
  }

  // `begun`: before either server was asked.
  void WatchLeases(const Step& step, const Answer& answer, steady_clock::time_point begun) {
    const auto now = steady_clock::now();
    const auto* grant = std::get_if<pb::LeaseGrantRequest>(&step.call);
    const auto* keep = std::get_if<pb::LeaseKeepAliveRequest>(&step.call);
    // Nothing else is asked until it is gone.
    if (std::holds_alternative<AwaitExpiry>(step.call)) return short_leases_.clear();
    // By as much may one server's lease have begun before the other's, and be looked at later.
    if (grant != nullptr || keep != nullptr ||
        std::holds_alternative<pb::LeaseTimeToLiveRequest>(step.call)) {
      const auto took = std::chrono::ceil<std::chrono::seconds>(now - begun);
      apart_s_ = std::max<int64_t>(apart_s_, 2 * (took.count() - 1));
    }
    for (const auto& [id, lease] : short_leases_) {
      if (now >= lease.begun + lease.ttl) result_.lease_overdue = true;
    }
    if (const auto* revoke = std::get_if<pb::LeaseRevokeRequest>(&step.call)) {
      short_leases_.erase(revoke->id());
    }
    if (keep != nullptr && short_leases_.contains(keep->id())) {
      short_leases_[keep->id()].begun = begun;
    }
    if (grant == nullptr || !answer.status.ok() || answer.message == nullptr) return;
    const auto& granted = static_cast<const pb::LeaseGrantResponse&>(*answer.message);
    const std::chrono::seconds ttl(granted.ttl());
    if (ttl < kShortTtl) short_leases_[grant->id()] = {.begun = begun, .ttl = ttl};
  }

  bool Report(std::string call, std::string what, std::string etcd, std::string server) {
    result_.findings.push_back({.seed = options_.seed,
                                .step = result_.requests,
                                .call = std::move(call),
                                .what = std::move(what),
                                .etcd = std::move(etcd),
                                .server = std::move(server)});
    return false;
  }

  bool CheckViolations(const std::string& call) {
    const std::string etcd = etcd_.violation(), server = server_.violation();
    if (etcd.empty() && server.empty()) return true;
    return Report(call, "a rule is broken", etcd, server);
  }

  // Waits until every watch has what the model says and compares it.
  bool Settle(const std::string& before) {
    const auto deadline = steady_clock::now() + kEventsTimeout;
    for (const auto& [number, stream] : model_.streams()) {
      WatchLog* etcd = etcd_.watch_log(number);
      WatchLog* server = server_.watch_log(number);
      if (etcd == nullptr || server == nullptr) continue;
      for (const auto& [id, watch] : stream.watches) {
        if (!SettleWatch(Cat("stream ", number, " watch ", id, ", before ", before), id, watch,
                         *etcd, *server, deadline)) {
          return false;
        }
      }
      if (etcd->fragments() > 0) result_.coverage.Count("watch response in fragments");
    }
    return true;
  }

  // Until no watch is catching up, for which there is no sign but the answer to a progress request;
  // and none where a watch that has not started or is cut off keeps etcd from answering.
  void WaitSynced() {
    bool blind = false;
    for (const auto& [number, stream] : model_.streams()) {
      bool any = false, answers = true;
      for (const auto& [id, watch] : stream.watches) {
        any = any || (watch.live && watch.unsynced);
        if (watch.known && (!watch.live || watch.start > model_.revision())) answers = false;
      }
      if (!any) continue;
      if (!answers) {
        blind = true;
        continue;
      }
      const Step progress{.call = WatchProgress{number}};
      (void)etcd_.Run(progress);
      (void)server_.Run(progress);
    }
    while (blind) {
      const auto begun = steady_clock::now();
      std::this_thread::sleep_for(kCatchUp);
      // Else the servers may have stood still with this one.
      blind = steady_clock::now() - begun > 2 * kCatchUp;
    }
    model_.AllSynced();
  }

  bool SettleWatch(const std::string& where, int64_t id, const Model::Watch& watch, WatchLog& etcd,
                   WatchLog& server, WatchLog::Deadline deadline) {
    const WatchLog::Expected expected{watch.expected_events, watch.expected_compacted};
    const bool enough = etcd.WaitEvents(id, expected, deadline);
    const bool same = server.WaitEvents(id, expected, deadline);
    const std::vector<WatchItem> wanted = etcd.Take(id), got = server.Take(id);
    for (size_t i = 0; i < std::max(wanted.size(), got.size()); ++i) {
      const std::string a = i < wanted.size() ? wanted[i].Text() : "nothing";
      const std::string b = i < got.size() ? got[i].Text() : "nothing";
      if (i >= wanted.size() || i >= got.size() || !(wanted[i] == got[i])) {
        return Report(Cat("events of ", where, ": key ", HexOf(watch.key), " end ",
                          HexOf(watch.end), " start ", watch.start),
                      Cat("event ", i + 1, " since the last look differs"), a, b);
      }
      result_.coverage.CountWatchItem(wanted[i]);
    }
    if (enough && same) return true;
    const auto a = etcd.Counts(id), b = server.Counts(id);
    return Report(Cat("events of ", where),
                  Cat("not as many events as there should be: ", expected.events, " and ",
                      expected.compacted, " cancels"),
                  Cat(a.events, " events, ", a.compacted, " cancels"),
                  Cat(b.events, " events, ", b.compacted, " cancels"));
  }

  // All keys, old and new, at the end of a run.
  void CompareStores() {
    pb::RangeRequest all;
    all.set_key(std::string(1, '\0'));
    all.set_range_end(all.key());
    const int64_t first = std::max<int64_t>(1, model_.compacted());
    for (const int64_t revision : {int64_t{0}, first, (first + model_.revision()) / 2}) {
      all.set_revision(revision);
      if (!Take({.call = all})) return;
    }
    Step hash{.call = pb::HashKVRequest()};
    if (!Take(hash)) return;
    if (!Take({.call = pb::LeaseLeasesRequest()})) return;
    for (const auto& [lease, info] : model_.leases()) {
      pb::LeaseTimeToLiveRequest left;
      left.set_id(lease);
      left.set_keys(true);
      if (!Take({.call = left})) return;
    }
  }

  const RunOptions& options_;
  Side& etcd_;
  Side& server_;
  Lane lane_;
  Model model_;
  Generator generator_;
  RunResult result_;
  bool killed_ = false;
  struct ShortLease {
    steady_clock::time_point begun;
    std::chrono::seconds ttl;
  };
  std::map<int64_t, ShortLease> short_leases_;  // by id
  int64_t apart_s_ = 0;  // how far the servers' leases may be apart, beyond what is usual
};

}  // namespace

absl::StatusOr<RunResult> RunLockstep(const RunOptions& options) {
  const std::unique_ptr<Mutant> mutant = MakeMutant(options.mutant);
  if (mutant == nullptr && !options.mutant.empty()) {
    return MakeStatus(absl::StatusCode::kNotFound, "no mutant is called ", options.mutant);
  }
  auto etcd = Side::Connect({.endpoint = options.etcd_endpoint});
  if (!etcd.ok()) return etcd.status();
  auto server = Side::Connect({.endpoint = options.server_endpoint,
                               .has_range_stream = options.has_range_stream,
                               .mutant = mutant.get()});
  if (!server.ok()) return server.status();
  return Lockstep(options, etcd->get(), server->get()).Run();
}

}  // namespace jetd::conformance::differential
