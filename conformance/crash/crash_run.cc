// SPDX-License-Identifier: Apache-2.0
#include "conformance/crash/crash_run.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <utility>

#include "base/strings.h"
#include "conformance/crash/compactor.h"
#include "conformance/crash/watch_follower.h"
#include "conformance/crash/writer.h"
#include "conformance/range_end.h"
#include "conformance/server_faults.h"

namespace jetd::conformance {
namespace {

using etcdclient::Client;
using etcdclient::ServerProcess;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
namespace pb = etcdclient::pb;

constexpr char kPrefix[] = "/crash/";
constexpr int kWritersPerClient = 8;
constexpr milliseconds kPoll{5};
constexpr int kPastReads = 12;
constexpr etcdclient::CallOptions kPatient{
    .timeout = milliseconds(60'000), .unreachable = etcdclient::CallOptions::Unreachable::kWait};

// One run. What it starts it stops, in the reverse order.
class Run {
 public:
  explicit Run(const CrashOptions& options) : options_(options), random_(options.seed) {}

  absl::StatusOr<CrashReport> Do() {
    auto server = ServerProcess::Start(options_.server);
    if (!server.ok()) return server.status();
    server_ = *std::move(server);
    faults_ = std::make_unique<ServerFaults>(server_.get(), options_.seed, options_.patience);
    report_.data_dir = server_->data_dir();
    if (absl::Status ready = server_->WaitReady(options_.patience); !ready.ok()) return ready;
    if (absl::Status started = StartClients(); !started.ok()) return started;
    if (absl::Status killed = KillAgainAndAgain(); !killed.ok()) {
      report_.violations.push_back(std::string(MessageOf(killed)));
    }
    StopWriters();
    if (absl::Status done = Compare(); !done.ok()) {
      report_.violations.push_back(Cat("at the end: ", MessageOf(done)));
    }
    return report_;
  }

 private:
  absl::Status StartClients() {
    for (int i = 0; i < options_.watchers; ++i) {
      followers_.push_back(std::make_unique<WatchFollower>(
          WatchFollower::Options{.name = Cat("watcher ", i),
                                 .endpoint = server_->endpoint(),
                                 .prefix = kPrefix,
                                 .reopen_after = i % 2 == 0 ? 0 : 20 * i}));
    }
    for (int i = 0; i < options_.writers; ++i) {
      if (i % kWritersPerClient == 0) {
        auto client = server_->Connect();
        if (!client.ok()) return client.status();
        clients_.push_back(*std::move(client));
      }
      writers_.push_back(std::make_unique<Writer>(
          Writer::Options{.number = i,
                          .seed = options_.seed * 1000 + static_cast<uint64_t>(i),
                          .prefix = Cat(kPrefix, "w", i, "/")},
          clients_.back().get()));
    }
    if (!options_.compact) return absl::OkStatus();
    auto client = server_->Connect();
    if (!client.ok()) return client.status();
    clients_.push_back(*std::move(client));
    compactor_ = std::make_unique<Compactor>(options_.seed, clients_.back().get(), [this] {
      int64_t safe = INT64_MAX;
      for (const auto& follower : followers_) safe = std::min(safe, follower->seen());
      return safe;
    });
    return absl::OkStatus();
  }

  [[nodiscard]] size_t Acked() const {
    size_t acked = 0;
    for (const auto& writer : writers_) acked += writer->acked();
    return acked;
  }

  // Until so many writes more were answered.
  absl::Status WaitForWrites(size_t count) {
    const size_t until = Acked() + count;
    const auto deadline = steady_clock::now() + options_.patience;
    while (Acked() < until) {
      if (steady_clock::now() > deadline) {
        return MakeStatus(absl::StatusCode::kDeadlineExceeded,
                          "the server hangs: ", until - Acked(), " of ", count,
                          " writes unanswered after ", options_.patience.count(), " s\n",
                          server_->LogTail());
      }
      if (!server_->running()) {
        return MakeStatus(absl::StatusCode::kInternal, "the server ended by itself\n",
                          server_->LogTail());
      }
      std::this_thread::sleep_for(kPoll);
    }
    return absl::OkStatus();
  }

  absl::Status KillAgainAndAgain() {
    while (report_.server_kills < options_.server_kills ||
           report_.nats_kills < options_.nats_kills || report_.clean_stops < options_.clean_stops) {
      const size_t writes = options_.writes_between * (1 + random_() % 4);
      if (absl::Status alive = WaitForWrites(writes); !alive.ok()) return alive;
      const int servers_left = options_.server_kills - report_.server_kills;
      const int nats_left = options_.nats_kills - report_.nats_kills;
      const int stops_left = options_.clean_stops - report_.clean_stops;
      const auto pick = static_cast<int>(
          random_() % static_cast<uint64_t>(servers_left + nats_left + stops_left));
      absl::Status done = pick < servers_left               ? KillServer()
                          : pick < servers_left + nats_left ? KillNats()
                                                            : StopCleanly();
      if (!done.ok()) return done;
    }
    return WaitForWrites(options_.writes_between);
  }

  // Now and then the next start is killed, whose first business the checkpoint is.
  absl::Status StopCleanly() {
    if (absl::Status stopped = server_->Stop(options_.patience); !stopped.ok()) return stopped;
    ++report_.clean_stops;
    if (std::filesystem::exists(server_->data_dir() + "/values/checkpoint")) ++report_.checkpoints;
    if (absl::Status started = server_->Restart(); !started.ok()) return started;
    if (report_.server_kills == options_.server_kills || !PauseForMore(milliseconds(500))) {
      return absl::OkStatus();
    }
    return KillServer();
  }

  // Now and then again before it is up.
  absl::Status KillServer() {
    do {
      if (absl::Status killed = faults_->KillServer(); !killed.ok()) return killed;
      ++report_.server_kills;
    } while (report_.server_kills < options_.server_kills && PauseForMore(milliseconds(500)));
    return absl::OkStatus();
  }

  // Now and then its successor too, as soon as it is there.
  absl::Status KillNats() {
    do {
      if (absl::Status killed = faults_->KillNats(); !killed.ok()) return killed;
      ++report_.nats_kills;
    } while (report_.nats_kills < options_.nats_kills && PauseForMore(milliseconds(1)));
    return absl::OkStatus();
  }

  // One time of four true, after a pause.
  bool PauseForMore(milliseconds at_most) {
    if (random_() % 4 != 0) return false;
    std::this_thread::sleep_for(milliseconds(random_() % static_cast<uint64_t>(at_most.count())));
    return true;
  }

  void StopWriters() {
    std::map<std::string, size_t> errors;
    for (const auto& writer : writers_) writer->Stop();
    if (compactor_ != nullptr) {
      compactor_->Stop();
      AddViolations(compactor_->violations());
      report_.compactions = compactor_->count();
    }
    for (const auto& writer : writers_) {
      ops_.insert(ops_.end(), writer->ops().begin(), writer->ops().end());
      report_.reads += writer->reads();
      AddViolations(writer->violations());
    }
    for (const WriteOp& op : ops_) {
      if (op.outcome != Outcome::kAcked) ++errors[op.error];
    }
    report_.errors.assign(errors.begin(), errors.end());
  }

  void AddViolations(const std::vector<std::string>& more) {
    report_.violations.insert(report_.violations.end(), more.begin(), more.end());
  }

  // A last write, which all watchers must reach; then everything against everything.
  absl::Status Compare() {
    auto client = server_->Connect();
    if (!client.ok()) return client.status();
    const WriteOp end{.writer = -1,
                      .keys = {{.key = Cat(kPrefix, "end"), .value = "end"}},
                      .outcome = Outcome::kAcked};
    pb::PutRequest put;
    put.set_key(end.keys[0].key);
    put.set_value(end.keys[0].value);
    const auto answer = (*client)->Call(
        put,
        {.timeout = options_.patience, .unreachable = etcdclient::CallOptions::Unreachable::kWait});
    if (!answer.ok()) return answer.status();
    report_.revision = answer->header().revision();
    ops_.push_back(end);
    ops_.back().revision = report_.revision;

    if (absl::Status there = WaitForFollowers(); !there.ok()) return there;
    if (absl::Status read = ReadHistory(); !read.ok()) return read;
    CompareFollowers();
    report_.events = history_.size();

    auto state = StateAt(**client, 0);
    if (!state.ok()) return state.status();
    OpLog log(ops_);
    AddViolations(log.Check(history_, *state));
    report_.ops = log.counts();
    if (absl::Status compared = ComparePast(**client); !compared.ok()) return compared;
    return CompareAfterCleanRestart(*state);
  }

  // The revision from which on the store must have everything.
  [[nodiscard]] int64_t FirstKept() const {
    return compactor_ == nullptr ? 1 : std::max<int64_t>(compactor_->asked(), 1);
  }

  // A watch from the first revision; of a store that was compacted, what a watcher has seen, and
  // the watch must show the rest of that.
  absl::Status ReadHistory() {
    const int64_t first = compactor_ == nullptr ? 1 : FirstKept() + 1;
    WatchFollower reader({.name = "reader",
                          .endpoint = server_->endpoint(),
                          .prefix = kPrefix,
                          .start_revision = first});
    if (absl::Status there = WaitFor(reader); !there.ok()) return there;
    reader.Stop();
    AddViolations(reader.violations());
    if (compactor_ == nullptr) {
      history_ = reader.events();
      return absl::OkStatus();
    }
    history_ = followers_[0]->events();
    const auto kept =
        std::find_if(history_.begin(), history_.end(),
                     [&](const HistoryEvent& event) { return event.revision >= first; });
    CompareEvents("a watch of what is left", {kept, history_.end()}, reader.events());
    return absl::OkStatus();
  }

  absl::Status WaitFor(const WatchFollower& follower) {
    const auto deadline = steady_clock::now() + options_.patience;
    while (follower.seen() < report_.revision) {
      if (steady_clock::now() > deadline) {
        return MakeStatus(absl::StatusCode::kDeadlineExceeded, "a watcher is at revision ",
                          follower.seen(), " of ", report_.revision);
      }
      std::this_thread::sleep_for(kPoll);
    }
    return absl::OkStatus();
  }

  absl::Status WaitForFollowers() {
    for (const auto& follower : followers_) {
      if (absl::Status there = WaitFor(*follower); !there.ok()) return there;
    }
    for (const auto& follower : followers_) {
      follower->Stop();
      AddViolations(follower->violations());
      report_.watch_streams += static_cast<size_t>(follower->streams());
      report_.progress_answers += static_cast<size_t>(follower->progress_answers());
    }
    return absl::OkStatus();
  }

  // Each event once, in order: what a watcher saw through all of it is the history.
  void CompareFollowers() {
    for (size_t i = 0; i < followers_.size(); ++i) {
      CompareEvents(Cat("watcher ", i), history_, followers_[i]->events());
    }
  }

  void CompareEvents(const std::string& who, const std::vector<HistoryEvent>& expected,
                     const std::vector<HistoryEvent>& seen) {
    const auto [want, got] =
        std::mismatch(expected.begin(), expected.end(), seen.begin(), seen.end());
    if (want == expected.end() && got == seen.end()) return;
    const auto at = [](auto it, const auto& events) {
      return it == events.end() ? std::string("nothing")
                                : Cat(it->key, " at revision ", it->revision);
    };
    report_.violations.push_back(Cat(who, " saw ", seen.size(), " events of ", expected.size(),
                                     "; the first difference: ", at(got, seen), " instead of ",
                                     at(want, expected)));
  }

  // Revision 0: now.
  static absl::StatusOr<std::map<std::string, FinalKey>> StateAt(Client& client, int64_t revision) {
    pb::RangeRequest range;
    range.set_key(kPrefix);
    range.set_range_end(PrefixEnd(kPrefix));
    range.set_revision(revision);
    const auto answer = client.Call(range, kPatient);
    if (!answer.ok()) return answer.status();
    std::map<std::string, FinalKey> state;
    for (const auto& kv : answer->kvs()) {
      state[kv.key()] = {kv.value(), kv.create_revision(), kv.mod_revision(), kv.version()};
    }
    return state;
  }

  // Reads at some revisions of the past show what the history adds up to; below the compacted one
  // they are refused.
  absl::Status ComparePast(Client& client) {
    const int64_t first = std::max(FirstKept(), history_.front().revision);
    const auto span = static_cast<uint64_t>(report_.revision - first + 1);
    for (int i = 0; i < kPastReads; ++i) {
      const int64_t revision = i == 0 ? first : first + static_cast<int64_t>(random_() % span);
      const auto state = StateAt(client, revision);
      if (!state.ok()) return state.status();
      if (!(*state == Fold(revision))) {
        report_.violations.push_back(Cat("a read at revision ", revision, " shows another past"));
      }
    }
    if (compactor_ != nullptr && compactor_->answered() > 1) {
      const auto state = StateAt(client, compactor_->answered() - 1);
      if (state.status().code() != absl::StatusCode::kOutOfRange) {
        report_.violations.push_back(Cat("a read below the compacted revision: ",
                                         state.ok() ? "answered" : MessageOf(state.status())));
      }
    }
    return absl::OkStatus();
  }

  [[nodiscard]] std::map<std::string, FinalKey> Fold(int64_t revision) const {
    std::map<std::string, FinalKey> state;
    for (const HistoryEvent& event : history_) {
      if (event.revision > revision) break;
      if (event.is_delete) {
        state.erase(event.key);
      } else {
        state[event.key] = {event.value, event.create_revision, event.revision, event.version};
      }
    }
    return state;
  }

  absl::Status CompareAfterCleanRestart(const std::map<std::string, FinalKey>& before) {
    if (absl::Status stopped = server_->Stop(options_.patience); !stopped.ok()) return stopped;
    if (absl::Status started = server_->Restart(); !started.ok()) return started;
    if (absl::Status ready = server_->WaitReady(options_.patience); !ready.ok()) return ready;
    auto client = server_->Connect();
    if (!client.ok()) return client.status();
    const auto after = StateAt(**client, 0);
    if (!after.ok()) return after.status();
    if (!(*after == before)) report_.violations.push_back("a clean restart changed the state");
    return ComparePast(**client);
  }

  const CrashOptions options_;
  std::mt19937_64 random_;
  CrashReport report_;
  std::vector<WriteOp> ops_;
  std::vector<HistoryEvent> history_;
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<ServerFaults> faults_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::unique_ptr<WatchFollower>> followers_;
  std::vector<std::unique_ptr<Writer>> writers_;
  std::unique_ptr<Compactor> compactor_;
};

}  // namespace

absl::StatusOr<CrashReport> RunCrash(const CrashOptions& options) { return Run(options).Do(); }

}  // namespace jetd::conformance
