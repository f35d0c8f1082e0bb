// SPDX-License-Identifier: Apache-2.0
#include "conformance/power/power_run.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "base/strings.h"
#include "conformance/crash/compactor.h"
#include "conformance/power/fault.h"
#include "conformance/power/load.h"
#include "conformance/power/moment.h"
#include "conformance/power/mount.h"
#include "conformance/range_end.h"

namespace jetd::conformance::power {
namespace {

namespace fs = std::filesystem;
namespace pb = etcdclient::pb;
using etcdclient::Client;
using etcdclient::ServerKind;
using etcdclient::ServerProcess;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPoll{2};
// How long an end may take that a server has promised: far longer than it does.
constexpr milliseconds kEndPatience{60'000};
constexpr std::chrono::seconds kWhole{60};  // for a server that nothing was done to, at least
constexpr int kSayEvery = 50;               // cuts

// Values that go to files: none in memory, few, and as a user has it.
constexpr const char* kValueFlags[] = {"--value-cache-bytes=0", "--value-cache-bytes=1000000",
                                       "--value-cache-bytes=67108864"};

// What happened on the disk, from the mount's threads.
struct DiskCounts {
  std::atomic<int64_t> made{0}, removed{0}, rewritten{0}, checkpoints{0};
  void Note(const FileEvent& event) {
    if (event.op == FileOp::kRename && event.name == "checkpoint") ++checkpoints;
    if (!IsBlock(event.name)) return;
    if (event.op == FileOp::kCreate) ++made;
    if (event.op == FileOp::kRemove) ++removed;
    if (event.op == FileOp::kRename) ++rewritten;
  }
};

// One run. What it starts it stops, in the reverse order.
class Run {
 public:
  explicit Run(const PowerOptions& options) : options_(options), random_(options.seed) {}
  ~Run() {
    compactor_ = nullptr;
    load_ = nullptr;
    server_ = nullptr;
    WaitForOrphans();
    mount_ = nullptr;
    if (root_.empty() || options_.keep) return;
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  absl::StatusOr<PowerReport> Do() {
    if (absl::Status made = SetUp(); !made.ok()) return made;
    absl::Status status;
    for (int i = 0; status.ok() && i < options_.first_cuts; ++i) {
      status = CutWhileItStarts();
      if (status.ok()) status = Start();
    }
    if (status.ok()) status = server_->WaitReady(Patience());
    if (status.ok()) status = StartCompactor();
    while (status.ok() && report_.cuts < options_.cuts && !Enough()) status = Round();
    for (int i = 0; status.ok() && i < options_.faults && !Enough(); ++i) status = FaultRound(i);
    if (!status.ok()) {
      ledger_.NoteWrong(Cat("after cut ", report_.cuts, ": ", MessageOf(status)));
    }
    return Report();
  }

 private:
  [[nodiscard]] bool Enough() const {
    return (options_.until_lost && ledger_.counts().lost > 0) ||
           (options_.until_wrong && ledger_.counts().wrong() > 0);
  }

  absl::Status SetUp() {
    // A nats-server whose jetd was killed is then a child of this process, which waits for its end.
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    std::string temp = options_.temp_dir;
    if (temp.empty()) {
      const char* given = std::getenv("TMPDIR");
      temp = given != nullptr && *given != '\0' ? given : "/tmp";
    }
    std::string path = temp + "/jetd-power-XXXXXX";
    if (mkdtemp(path.data()) == nullptr) {
      return MakeStatus(absl::StatusCode::kUnavailable, "cannot make a folder in ", temp, ": ",
                        std::strerror(errno));
    }
    root_ = path;
    fs::create_directory(root_ + "/disk");
    Mount::Options disk{.folder = root_ + "/disk", .seed = options_.seed};
    disk.disk.data_before_rename = options_.data_before_rename;
    disk.no_sync = options_.no_sync;
    disk.on_event = [this](const FileEvent& event) { disk_counts_.Note(event); };
    auto mount = Mount::Make(std::move(disk));
    if (!mount.ok()) return mount.status();
    mount_ = *std::move(mount);
    auto server = ServerProcess::Start({.kind = ServerKind::kJetd,
                                        .program = options_.server,
                                        .data_dir = root_ + "/disk/data",
                                        .log_path = LogPath()});
    if (!server.ok()) return server.status();
    server_ = *std::move(server);
    ++report_.starts;
    load_ = std::make_unique<Load>(Load::Options{
        .endpoint = server_->endpoint(), .seed = options_.seed, .writers = options_.writers});
    return absl::OkStatus();
  }

  // The last lines of both programs.
  [[nodiscard]] std::string LastWords() const {
    std::ifstream in(root_ + "/disk/data/private/nats-server.log");
    std::string nats{std::istreambuf_iterator<char>(in), {}};
    if (nats.size() > 1500) nats.erase(0, nats.size() - 1500);
    return Cat(server_->LogTail(), "\nits nats-server:\n", nats);
  }

  [[nodiscard]] std::string LogPath() const { return root_ + "/jetd.log"; }

  absl::Status StartCompactor() {
    auto client = server_->Connect();
    if (!client.ok()) return client.status();
    compactor_client_ = *std::move(client);
    // What the next settling reads stays.
    compactor_ = std::make_unique<Compactor>(options_.seed, compactor_client_.get(),
                                             [this] { return settled_.load(); });
    return absl::OkStatus();
  }

  // One settling to the next, with at least one cut between.
  absl::Status Round() {
    if (absl::Status begun = load_->Begin(ledger_); !begun.ok()) return begun;
    Moment moment = PickMoment(random_);
    const bool cut_start = moment == Moment::kStart;
    if (cut_start) moment = Moment::kAnyTime;
    absl::Status status = WaitForWrites(20 + random_() % 300);
    shown_.reset();
    if (status.ok()) status = moment == Moment::kKilled ? KillAndRead() : WaitFor(moment);
    if (status.ok()) status = PowerOff();
    if (!status.ok()) return status;
    if (cut_start || random_() % 8 == 0) {
      status = Start();
      if (status.ok()) status = CutWhileItStarts();
      if (!status.ok()) ledger_.NoteWrong(MessageOf(status));
    }
    return Recover();
  }

  // Power fails behind an operation that failed.
  absl::Status FaultRound(int number) {
    if (absl::Status begun = load_->Begin(ledger_); !begun.ok()) return begun;
    if (absl::Status written = WaitForWrites(20 + random_() % 100); !written.ok()) return written;
    const Fault& fault = FaultOf(number);
    const int before = mount_->failed();
    mount_->FailAt(fault.matches, fault.times);
    if (fault.at_stop) kill(server_->pid(), SIGTERM);
    const auto deadline = steady_clock::now() + std::chrono::seconds(4);
    while (mount_->failed() == before && steady_clock::now() < deadline) {
      std::this_thread::sleep_for(kPoll);
    }
    const bool happened = mount_->failed() > before;
    // Its answer to it; then everything that it would answer wrongly.
    const bool ends = happened && fault.must_end;
    const auto reaction =
        steady_clock::now() + (ends ? kEndPatience : milliseconds(happened ? 700 : 0));
    while (server_->running() && steady_clock::now() < reaction) std::this_thread::sleep_for(kPoll);
    const std::string end = server_->running() ? "went on" : Cat("ended: ", server_->HowItEnded());
    ++report_.fault_kinds[Cat(fault.name, happened ? Cat(": ", end) : ": did not happen")];
    report_.faults += happened ? 1 : 0;
    if (ends && server_->running()) {
      ledger_.NoteWrong(Cat(fault.name, ": the server went on"));
    }
    if (absl::Status off = PowerOff(); !off.ok()) return off;
    return Recover();
  }

  // Where nothing was cut yet a server starts and answers; it may only be slow.
  [[nodiscard]] std::chrono::seconds Patience() const {
    return report_.cuts == 0 ? std::max(options_.patience, kWhole) : options_.patience;
  }

  absl::Status WaitForWrites(size_t count) {
    const auto deadline = steady_clock::now() + Patience();
    while (load_->acked() < count) {
      if (!server_->running()) {
        return MakeStatus(absl::StatusCode::kInternal,
                          "the server ended by itself: ", server_->HowItEnded(), "\n", LastWords());
      }
      if (steady_clock::now() > deadline) {
        return MakeStatus(absl::StatusCode::kDeadlineExceeded, "the server hangs: ", load_->acked(),
                          " writes answered\n", LastWords());
      }
      std::this_thread::sleep_for(kPoll);
    }
    return absl::OkStatus();
  }

  // Both programs die and start again with what the kernel has, synced or not. What a read shows
  // then must be there behind the cut that follows.
  absl::Status KillAndRead() {
    server_->Kill(ServerProcess::Scope::kTree);
    WaitForOrphans();
    load_->End(&ops_, &ledger_);
    absl::Status status = Start();
    if (status.ok()) status = server_->WaitReady(Patience());
    if (!status.ok()) return status;
    auto shown = ReadAll();
    if (!shown.ok()) return shown.status();
    shown_ = *std::move(shown);
    ++report_.moments[NameOf(Moment::kKilled)];
    return absl::OkStatus();
  }

  struct Picture {
    Ledger::State state;
    int64_t revision = 0;
  };

  absl::StatusOr<Picture> ReadAll() {
    auto client = server_->Connect();
    if (!client.ok()) return client.status();
    pb::RangeRequest range;
    range.set_key(Load::kPrefix);
    range.set_range_end(PrefixEnd(Load::kPrefix));
    const auto answer = (*client)->Call(range, {.timeout = Patience()});
    if (!answer.ok()) return answer.status();
    Picture picture{.revision = answer->header().revision()};
    for (const auto& kv : answer->kvs()) {
      picture.state[kv.key()] = {kv.value(), kv.create_revision(), kv.mod_revision(), kv.version()};
    }
    return picture;
  }

  // Until the mount is frozen or should be.
  absl::Status WaitFor(Moment moment) {
    const auto met = std::make_shared<std::atomic<bool>>(false);
    if (auto matches = OperationOf(moment, random_, met)) mount_->FreezeAt(std::move(matches));
    auto patience = milliseconds(1000);
    if (EndsServer(moment)) {
      kill(server_->pid(), SIGTERM);
      if (moment == Moment::kStop) patience = milliseconds(random_() % 400);
      if (moment == Moment::kStopped) patience = options_.patience;
    } else if (moment == Moment::kAnyTime) {
      patience = milliseconds(random_() % 20);
    }
    const auto deadline = steady_clock::now() + patience;
    while (!mount_->WaitFrozen(kPoll) && steady_clock::now() < deadline) {
      if (server_->running()) continue;
      if (EndsServer(moment)) break;
      return MakeStatus(absl::StatusCode::kInternal,
                        "the server ended by itself: ", server_->HowItEnded(), "\n", LastWords());
    }
    mount_->Freeze();
    const bool timed =
        moment == Moment::kAnyTime || moment == Moment::kStop || moment == Moment::kStopped;
    ++report_.moments[timed || *met ? NameOf(moment) : "any time"];
    return absl::OkStatus();
  }

  // The frozen disk, or at this moment, loses its power.
  absl::Status PowerOff() {
    mount_->Freeze();
    if (server_->running()) {
      const std::vector<pid_t> children = server_->Descendants();
      kill(server_->pid(), SIGKILL);
      for (const pid_t child : children) kill(child, SIGKILL);
    }
    mount_->Release();
    server_->Kill(ServerProcess::Scope::kTree);
    WaitForOrphans();
    ++report_.cuts;
    if (options_.say != nullptr && report_.cuts % kSayEvery == 0) SayProgress();
    return mount_->Cut(random_());
  }

  // jetd's descendants end with it; here they are waited for.
  static void WaitForOrphans() {
    while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
    }
  }

  absl::Status Start() {
    ++report_.starts;
    // Faults of value files want some.
    const size_t flag = report_.cuts < options_.cuts ? random_() % std::size(kValueFlags) : 0;
    return server_->Restart({kValueFlags[flag]});
  }

  absl::Status CutWhileItStarts() {
    const auto met = std::make_shared<std::atomic<bool>>(false);
    auto patience = milliseconds(random_() % 400);
    if (random_() % 2 == 0) {
      constexpr Moment kAt[] = {Moment::kStart, Moment::kStart, Moment::kSync, Moment::kRemoval,
                                Moment::kRewrite};
      mount_->FreezeAt(OperationOf(kAt[random_() % std::size(kAt)], random_, met));
      patience = milliseconds(800);
    }
    const auto deadline = steady_clock::now() + patience;
    while (!mount_->WaitFrozen(kPoll) && steady_clock::now() < deadline) {
      if (server_->running()) continue;
      return MakeStatus(absl::StatusCode::kInternal,
                        "the server ended in its start: ", server_->HowItEnded(), "\n",
                        LastWords());
    }
    ++report_.moments[NameOf(Moment::kStart)];
    return PowerOff();
  }

  absl::Status Recover() {
    load_->End(&ops_, &ledger_);
    const std::vector<WriteOp> ops = std::exchange(ops_, {});
    if (absl::Status started = Start(); !started.ok()) return started;
    if (absl::Status ready = server_->WaitReady(options_.patience); !ready.ok()) {
      // All that was ever answered.
      ledger_.Settle(ops, {}, {}, 1);
      return ready;
    }
    return Settle(ops);
  }

  absl::Status Settle(const std::vector<WriteOp>& ops) {
    const auto now = ReadAll();
    if (!now.ok()) return now.status();
    const int64_t head = now->revision;
    if (shown_.has_value() && (shown_->revision != head || shown_->state != now->state)) {
      ledger_.NoteWrong(Cat("what was read at revision ", shown_->revision,
                            " is gone or another, the revision is ", head));
    }
    std::vector<HistoryEvent> events;
    if (head > ledger_.revision()) {
      WatchFollower reader({.name = "reader",
                            .endpoint = server_->endpoint(),
                            .prefix = Load::kPrefix,
                            .start_revision = ledger_.revision() + 1,
                            .end_revision = head});
      if (absl::Status there = WaitUntilSeen(reader, head); !there.ok()) return there;
      reader.Stop();
      events = reader.events();
      for (const std::string& violation : reader.violations()) ledger_.NoteWrong(violation);
    }
    const uint64_t wrong = ledger_.counts().wrong();
    ledger_.Settle(ops, events, now->state, head);
    if (ledger_.counts().wrong() == wrong) {
      if (absl::Status same = CompareFollowers(events, head); !same.ok()) return same;
    }
    // Nobody needs what was before.
    settled_ = ledger_.revision();
    auto client = server_->Connect();
    if (!client.ok()) return client.status();
    load_->CompareLeases(**client, &ledger_);
    if (ledger_.counts().wrong() != wrong) {
      ledger_.NoteWrong(Cat("  (the lines above: behind cut ", report_.cuts, ")"));
    }
    return absl::OkStatus();
  }

  absl::Status WaitUntilSeen(WatchFollower& follower, int64_t revision) const {
    const auto deadline = steady_clock::now() + options_.patience;
    while (follower.seen() < revision) {
      if (steady_clock::now() > deadline) {
        follower.Stop();
        return MakeStatus(absl::StatusCode::kDeadlineExceeded, follower.name(), " is at revision ",
                          follower.seen(), " of ", revision, ", after ", follower.streams(),
                          " streams and ", follower.progress_answers(), " answers of progress");
      }
      std::this_thread::sleep_for(kPoll);
    }
    return absl::OkStatus();
  }

  // Who watched through the cut saw what is there, each event once, and nothing that is not.
  absl::Status CompareFollowers(const std::vector<HistoryEvent>& events, int64_t head) {
    for (const auto& follower : load_->followers()) {
      if (absl::Status there = WaitUntilSeen(*follower, head); !there.ok()) return there;
    }
    for (const auto& follower : load_->followers()) follower->StopSoon();
    for (const auto& follower : load_->followers()) {
      follower->Stop();
      for (const std::string& violation : follower->violations()) ledger_.NoteWrong(violation);
      const auto& seen = follower->events();
      if (seen == events) continue;
      const auto [want, got] =
          std::mismatch(events.begin(), events.end(), seen.begin(), seen.end());
      ledger_.NoteWrong(Cat(
          "a watcher saw ", seen.size(), " events of ", events.size(), "; the first difference: ",
          got == seen.end() ? "nothing" : Cat(got->key, "@", got->revision), " instead of ",
          want == events.end() ? "nothing" : Cat(want->key, "@", want->revision)));
    }
    return absl::OkStatus();
  }

  void SayProgress() const {
    const Ledger::Counts& counts = ledger_.counts();
    options_.say(Cat(report_.cuts, " cuts, ", counts.acked, " writes answered, ", counts.wrong(),
                     " wrong, ", disk_counts_.made.load(), " blocks begun"));
  }

  PowerReport Report() {
    if (compactor_ != nullptr) {
      compactor_->Stop();
      report_.compactions = compactor_->count();
      for (const std::string& violation : compactor_->violations()) ledger_.NoteWrong(violation);
    }
    report_.counts = ledger_.counts();
    report_.revision = ledger_.revision();
    report_.blocks_made = disk_counts_.made;
    report_.blocks_removed = disk_counts_.removed;
    report_.blocks_rewritten = disk_counts_.rewritten;
    report_.checkpoints = disk_counts_.checkpoints;
    std::ifstream log(LogPath());
    for (std::string line; std::getline(log, line);) {
      if (line.find("began at the checkpoint") != std::string::npos) ++report_.checkpoint_starts;
    }
    report_.violations = ledger_.violations();
    report_.folder = root_;
    return report_;
  }

  const PowerOptions options_;
  std::mt19937_64 random_;
  PowerReport report_;
  DiskCounts disk_counts_;
  Ledger ledger_;
  std::atomic<int64_t> settled_{1};
  std::vector<WriteOp> ops_;      // since the last settling, of writers that have ended
  std::optional<Picture> shown_;  // by a read before the cut
  std::string root_;
  std::unique_ptr<Mount> mount_;
  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<Load> load_;
  std::unique_ptr<Client> compactor_client_;
  std::unique_ptr<Compactor> compactor_;
};

}  // namespace

absl::StatusOr<PowerReport> RunPower(const PowerOptions& options) { return Run(options).Do(); }

}  // namespace jetd::conformance::power
