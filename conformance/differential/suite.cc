// SPDX-License-Identifier: Apache-2.0
#include "conformance/differential/suite.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <thread>
#include <utility>

#include "base/mutex.h"
#include "base/strings.h"

namespace jetd::conformance::differential {
namespace {

using etcdclient::ServerKind;
using etcdclient::ServerProcess;

constexpr std::chrono::seconds kReady{90};
// Of a seed.
constexpr int kAttempts = 5;
// Often enough that a run sees notifications, seldom enough that they cost nothing.
constexpr char kProgressInterval[] = "--experimental-watch-progress-notify-interval=300ms";

struct Pair {
  std::unique_ptr<ServerProcess> etcd, server;
};

std::vector<std::string> FlagsOf(ServerKind kind, const SuiteOptions& options) {
  std::vector<std::string> flags = {kProgressInterval};
  if (kind == ServerKind::kEtcd) {
    flags.insert(flags.end(), {"--unsafe-no-fsync", "--log-level=error"});
  } else {
    flags.push_back("--log-level=warn");
    if (const char* nats = std::getenv("JETD_NATS_SERVER"); nats != nullptr && *nats != '\0') {
      flags.push_back(Cat("--nats-server=", nats));
    }
    flags.insert(flags.end(), options.server_flags.begin(), options.server_flags.end());
  }
  return flags;
}

absl::StatusOr<Pair> StartPair(const SuiteOptions& options) {
  Pair pair;
  for (const bool is_etcd : {true, false}) {
    const ServerKind kind = is_etcd ? ServerKind::kEtcd : options.server_kind;
    auto started =
        ServerProcess::Start({.kind = kind,
                              .program = is_etcd ? options.etcd_program : options.server_program,
                              .flags = FlagsOf(kind, options),
                              .temp_dir = options.temp_dir});
    if (!started.ok()) return started.status();
    (is_etcd ? pair.etcd : pair.server) = *std::move(started);
  }
  return pair;
}

// Gives out seeds to workers and takes their results.
class Board {
 public:
  explicit Board(const SuiteOptions& options) : options_(options) {}

  [[nodiscard]] bool NextSeed(uint64_t* seed) {
    MutexLock lock(mutex_);
    if (given_ >= options_.seeds || !error_.ok()) return false;
    if (options_.first_only && !result_.findings.empty()) return false;
    *seed = options_.first_seed + static_cast<uint64_t>(given_++);
    return true;
  }

  void Done(uint64_t seed, RunResult run) {
    MutexLock lock(mutex_);
    if (options_.on_seed) options_.on_seed(seed, run);
    ++result_.seeds;
    result_.requests += run.requests;
    result_.changed += run.changed;
    result_.coverage.Merge(run.coverage);
    std::move(run.findings.begin(), run.findings.end(), std::back_inserter(result_.findings));
  }

  void Failed(const absl::Status& error) {
    MutexLock lock(mutex_);
    if (error_.ok()) error_ = error;
  }

  [[nodiscard]] absl::StatusOr<SuiteResult> Take() {
    MutexLock lock(mutex_);
    if (!error_.ok()) return error_;
    std::sort(result_.findings.begin(), result_.findings.end(),
              [](const Finding& a, const Finding& b) { return a.seed < b.seed; });
    return std::move(result_);
  }

 private:
  const SuiteOptions& options_;
  Mutex mutex_;
  int64_t given_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status error_ ABSL_GUARDED_BY(mutex_);
  SuiteResult result_ ABSL_GUARDED_BY(mutex_);
};

absl::Status WaitReady(const Pair& pair) {
  for (ServerProcess* server : {pair.etcd.get(), pair.server.get()}) {
    if (absl::Status ready = server->WaitReady(kReady); !ready.ok()) return ready;
  }
  return absl::OkStatus();
}

// By SIGKILL or by SIGTERM. jetd's nats-server is left to end by itself, as it does.
absl::Status EndAndRestart(const Pair& pair, bool cleanly) {
  for (ServerProcess* server : {pair.etcd.get(), pair.server.get()}) {
    if (!cleanly) {
      server->Kill(ServerProcess::Scope::kProcess);
    } else if (absl::Status stopped = server->Stop(kReady); !stopped.ok()) {
      return stopped;
    }
    if (absl::Status started = server->Restart(); !started.ok()) return started;
  }
  return WaitReady(pair);
}

absl::StatusOr<RunResult> RunSeed(const SuiteOptions& options, uint64_t seed, Pair& pair) {
  if (const absl::Status ready = WaitReady(pair); !ready.ok()) return ready;
  uint64_t ends = seed;  // every other one is clean
  auto run = RunLockstep({.seed = seed,
                          .requests = options.requests,
                          .etcd_endpoint = pair.etcd->endpoint(),
                          .server_endpoint = pair.server->endpoint(),
                          .kill_servers = [&] { return EndAndRestart(pair, ++ends % 2 == 0); },
                          .has_range_stream = options.server_kind == ServerKind::kJetd,
                          .mutant = options.mutant,
                          .verbose = options.verbose});
  if (!run.ok()) return run;
  for (Finding& finding : run->findings) {
    for (const auto& [name, server] :
         {std::pair("etcd", pair.etcd.get()), std::pair("the server", pair.server.get())}) {
      if (server->running()) continue;
      CatTo(finding.what, "; ", name, " has ended: ", server->HowItEnded(), "\n",
            server->LogTail());
    }
  }
  return run;
}

// While a seed runs, the servers of the next one start. What was found on a machine that was too
// slow has to be found again.
void Work(const SuiteOptions& options, Board* board) {
  uint64_t seed = 0;
  absl::StatusOr<Pair> next = absl::NotFoundError("none yet");
  while (board->NextSeed(&seed)) {
    for (int attempt = 1;; ++attempt) {
      absl::StatusOr<Pair> pair = next.ok() ? std::move(next) : StartPair(options);
      if (!pair.ok()) return board->Failed(pair.status());
      next = StartPair(options);
      auto run = RunSeed(options, seed, *pair);
      if (!run.ok()) return board->Failed(run.status());
      if (run->lease_overdue && !run->findings.empty() && attempt < kAttempts) continue;
      board->Done(seed, *std::move(run));
      break;
    }
  }
}

}  // namespace

absl::StatusOr<SuiteResult> RunSuite(const SuiteOptions& options) {
  Board board(options);
  std::vector<std::thread> workers;
  for (int i = 0; i < std::min<int64_t>(options.jobs, options.seeds); ++i) {
    workers.emplace_back([&] { Work(options, &board); });
  }
  for (std::thread& worker : workers) worker.join();
  return board.Take();
}

}  // namespace jetd::conformance::differential
