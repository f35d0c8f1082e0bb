// SPDX-License-Identifier: Apache-2.0
#include "conformance/history/history_run.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "conformance/history/codec.h"
#include "conformance/history/follower.h"
#include "conformance/history/group_check.h"
#include "conformance/history/load.h"
#include "conformance/history/watch_check.h"

namespace jetd::conformance::history {
namespace {

using etcdclient::Client;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPoll{2};
constexpr milliseconds kNudge{300};
constexpr size_t kSearchBudget = 3'000'000;
constexpr etcdclient::CallOptions kPatient{
    .timeout = milliseconds(60'000), .unreachable = etcdclient::CallOptions::Unreachable::kWait};

// One run. What it starts it stops, in the reverse order.
class Run {
 public:
  Run(const HistoryOptions& options, World* world,
      const std::function<void(const std::string&)>& progress)
      : options_(options),
        world_(world),
        progress_(progress),
        keys_(options.groups, options.group_size),
        random_(options.seed) {}

  absl::StatusOr<HistoryReport> Do() {
    const auto start = steady_clock::now();
    if (absl::Status started = Start(); !started.ok()) return started;
    while (report_.operations < options_.operations && report_.violations.empty()) {
      absl::Status done = RunWindow();
      if (!done.ok()) report_.violations.Add("no answer", MessageOf(done));
      report_.seconds = std::chrono::duration<double>(steady_clock::now() - start).count();
      progress_(Line());
    }
    report_.violations.Merge(world_->TakeViolations());
    for (const std::string& error : load_->strange_errors()) {
      report_.violations.Add("strange error", error);
    }
    report_.errors = load_->errors();
    report_.counts = revisions_->counts();
    for (const auto& follower : followers_) {
      report_.watch_streams += follower->streams();
      report_.progress_answers += follower->progress_answers();
    }
    return report_;
  }

 private:
  absl::Status Start() {
    if (absl::Status started = world_->Start(); !started.ok()) return started;
    endpoints_ = world_->endpoints();
    auto client = Client::Connect({.endpoint = endpoints_[0]});
    if (!client.ok()) return client.status();
    client_ = *std::move(client);
    Operation first = ReadAll();
    if (first.fate != Fate::kAnswered) return absl::UnavailableError(first.error);
    revisions_ = std::make_unique<RevisionCheck>(keys_.size(), first.revision);
    groups_ = std::make_unique<GroupCheck>(keys_.size(), keys_.group_size(), kSearchBudget);
    load_ = std::make_unique<Load>(Load::Options{.endpoints = endpoints_,
                                                 .clients = options_.clients,
                                                 .pause = options_.pause,
                                                 .seed = options_.seed},
                                   &keys_);
    StartFollowers(first.revision + 1);
    return absl::OkStatus();
  }

  void StartFollowers(int64_t start_revision) {
    const auto end = static_cast<KeyId>(keys_.size()) - 1;
    const auto group = static_cast<KeyId>(keys_.group_size());
    const auto add = [&](const std::string& name, std::vector<WatchSpec> watches, int reopen) {
      followers_.push_back(
          std::make_unique<Follower>(Follower::Options{.name = name,
                                                       .endpoint = Endpoint(followers_.size()),
                                                       .watches = std::move(watches),
                                                       .start_revision = start_revision,
                                                       .reopen_after = reopen},
                                     &keys_));
    };
    add("a watch of everything", {{.last = end, .prev_kv = true}}, 0);
    add("a watch that is opened anew", {{.last = end}}, 300);
    add("a stream of many watches",
        {{.first = 0, .last = group - 1, .prev_kv = true},
         {.first = 1, .last = end / 2, .no_put = true},
         {.first = end / 3, .last = end, .prev_kv = true, .no_delete = true},
         {.first = end, .last = end, .prev_kv = true},
         {.first = 2, .last = 2}},
        900);
  }

  absl::Status RunWindow() {
    const size_t size = std::min(options_.window, options_.operations - report_.operations);
    load_->Start(size);
    for (const World::Fault& fault : world_->NextFaults(size)) {
      if (absl::Status alive = WaitFor(fault.after); !alive.ok()) return alive;
      if (absl::Status done = fault.inflict(); !done.ok()) {
        return MakeStatus(done.code(), fault.name, ": ", MessageOf(done));
      }
      ++report_.faults[fault.name];
    }
    if (absl::Status alive = WaitFor(size); !alive.ok()) return alive;
    report_.operations += size;
    return Judge();
  }

  // Until so many operations of the window have ended.
  absl::Status WaitFor(size_t operations) {
    size_t last = load_->ended();
    auto deadline = steady_clock::now() + options_.patience;
    while (load_->ended() < operations) {
      if (absl::Status running = world_->CheckRunning(); !running.ok()) return running;
      if (load_->ended() != last) {
        last = load_->ended();
        deadline = steady_clock::now() + options_.patience;
      }
      if (steady_clock::now() > deadline) {
        return MakeStatus(absl::StatusCode::kDeadlineExceeded, "the server hangs\n",
                          world_->LogTail());
      }
      std::this_thread::sleep_for(kPoll);
    }
    return absl::OkStatus();
  }

  // This class is a client too, with the number behind the others', that waits for each answer.
  template <typename Message>
  Operation Ask(Request request, const Message& message) {
    Operation operation;
    operation.client = static_cast<uint32_t>(options_.clients);
    operation.number = asked_++;
    operation.request = std::move(request);
    operation.call_ns = SteadyNowNs();
    const auto response = client_->Call(message, kPatient);
    operation.return_ns = SteadyNowNs();
    if (response.ok()) {
      operation.fate = Fate::kAnswered;
      TakeAnswer(keys_, *response, operation);
    } else {
      operation.error = std::string(MessageOf(response.status()));
    }
    return operation;
  }

  // Asked again while it is refused: what the server is connected to may stand still at any moment.
  Operation ReadAll() {
    Request request;
    request.success = {{.first = 0, .last = static_cast<KeyId>(keys_.size()) - 1}};
    const auto deadline = steady_clock::now() + options_.patience;
    while (true) {
      Operation read = Ask(request, ToRange(keys_, request, request.success[0]));
      if (read.fate == Fate::kAnswered || steady_clock::now() > deadline) return read;
      std::this_thread::sleep_for(kPoll);
    }
  }

  // One write more, which belongs to the next window.
  void Nudge() {
    Request request;
    request.success = {{.kind = Action::Kind::kPut,
                        .value = MakeValueId(static_cast<uint32_t>(options_.clients), asked_, 0)}};
    later_.push_back(Ask(request, ToPut(keys_, request.success[0])));
  }

  // A store that fell back would keep everybody waiting for what is lost.
  bool FellBack(const std::vector<Operation>& operations, int64_t revision) {
    bool fell_back = false;
    for (const Operation& operation : operations) {
      if (operation.revision <= revision) continue;
      fell_back = true;
      report_.violations.Add(
          "lost write", Cat("the store is at revision ", revision, " after ", Text(operation)));
    }
    return fell_back;
  }

  // It is quiet: holds all that was seen since the last time against what the store has.
  absl::Status Judge() {
    while (!load_->idle()) std::this_thread::sleep_for(kPoll);
    if (absl::Status ready = world_->WaitReady(); !ready.ok()) return ready;
    report_.violations.Merge(world_->TakeViolations());
    RevisionCheck::Window window{.operations = load_->Take()};
    std::move(later_.begin(), later_.end(), std::back_inserter(window.operations));
    later_.clear();
    Operation end = ReadAll();
    if (end.fate != Fate::kAnswered) return absl::UnavailableError(end.error);
    const int64_t revision = end.revision;
    window.operations.push_back(std::move(end));
    if (FellBack(window.operations, revision)) return absl::OkStatus();
    if (absl::Status truth = ReadTruth(revision, window.truth); !truth.ok()) return truth;
    Operation after = ReadAll();
    if (after.fate != Fate::kAnswered) return absl::UnavailableError(after.error);
    if (FellBack(window.operations, after.revision)) return absl::OkStatus();
    later_.push_back(std::move(after));
    if (absl::Status judged = JudgeWatches(window, revision); !judged.ok()) return judged;
    report_.transactions += window.truth.size();
    const int64_t before = revisions_->revision();
    revisions_->Check(window);
    groups_->Check(window.operations, revisions_->landed(), revisions_->state());
    report_.violations.Merge(revisions_->violations());
    report_.violations.Merge(groups_->violations());
    report_.undecided = groups_->undecided();
    report_.searched = groups_->visited();
    return Compact(before);
  }

  // What the store says has happened, up to a revision: by a watch from the past, and by its
  // stream.
  absl::Status ReadTruth(int64_t revision, std::vector<Transaction>& truth) {
    const auto last = static_cast<KeyId>(keys_.size()) - 1;
    const WatchSpec all{.last = last, .prev_kv = true};
    const auto events = Replay(all, revisions_->revision() + 1, revision);
    if (!events.ok()) return events.status();
    truth = ToTransactions(*events);
    auto stream = world_->ReadTruth(keys_, revisions_->revision() + 1, revision);
    if (!stream.ok()) return stream.status();
    if (stream->has_value()) {
      truth = **std::move(stream);
      report_.stream_transactions += truth.size();
    }
    JudgeWatch("a watch of the past", all, truth, revisions_->revision() + 1, *events);
    return absl::OkStatus();
  }

  // What a new watch tells of the revisions from..to.
  absl::StatusOr<std::vector<WatchEvent>> Replay(const WatchSpec& spec, int64_t from, int64_t to) {
    Follower replay({.name = Cat("a watch from revision ", from, " on"),
                     .endpoint = Endpoint(random_()),
                     .watches = {spec},
                     .start_revision = from},
                    &keys_);
    if (absl::Status there = WaitFor(replay, to); !there.ok()) return there;
    Follower::Taken taken = replay.Take(to);
    report_.violations.Merge(taken.violations);
    return std::move(taken.events[0]);
  }

  // Progress is not answered while a watch of the stream waits for a revision to come, so one that
  // has all keeps those that were created anew beside it from knowing that they have all too: hence
  // the nudges.
  absl::Status WaitFor(const Follower& follower, int64_t revision) {
    const auto deadline = steady_clock::now() + options_.patience;
    auto nudge = steady_clock::now() + kNudge;
    while (follower.complete() < revision) {
      const auto now = steady_clock::now();
      if (now > deadline) {
        return MakeStatus(absl::StatusCode::kDeadlineExceeded, follower.Progress(), " of ",
                          revision, "\n", world_->LogTail());
      }
      if (now > nudge) {
        Nudge();
        nudge = now + kNudge;
      }
      std::this_thread::sleep_for(kPoll);
    }
    return absl::OkStatus();
  }

  // What was watched meanwhile, and what a watch resumed in the middle of it shows now.
  absl::Status JudgeWatches(RevisionCheck::Window& window, int64_t revision) {
    const int64_t before = revisions_->revision();
    for (const auto& follower : followers_) {
      if (absl::Status there = WaitFor(*follower, revision); !there.ok()) return there;
      Follower::Taken taken = follower->Take(revision);
      report_.violations.Merge(taken.violations);
      window.sightings.insert(window.sightings.end(), taken.sightings.begin(),
                              taken.sightings.end());
      for (size_t i = 0; i < taken.events.size(); ++i) {
        JudgeWatch(Cat(follower->options().name, ", watch ", i + 1), follower->options().watches[i],
                   window.truth, before + 1, taken.events[i]);
      }
    }
    const auto size = static_cast<KeyId>(keys_.size());
    const KeyId first = static_cast<KeyId>(random_() % size);
    const WatchSpec spec{.first = first,
                         .last = first + static_cast<KeyId>(random_() % (size - first)),
                         .prev_kv = random_() % 2 == 0,
                         .no_put = random_() % 4 == 0};
    const auto span = static_cast<uint64_t>(revision - before + 1);
    const int64_t from = before + 1 + static_cast<int64_t>(random_() % span);
    auto resumed = Replay(spec, from, revision);
    if (!resumed.ok()) return resumed.status();
    JudgeWatch("a resumed watch", spec, window.truth, from, *resumed);
    return absl::OkStatus();
  }

  void JudgeWatch(const std::string& name, const WatchSpec& spec,
                  const std::vector<Transaction>& truth, int64_t from,
                  const std::vector<WatchEvent>& seen) {
    CompareEvents(name, ExpectedEvents(spec, revisions_->state(), truth, from), seen,
                  report_.violations);
    report_.watch_events += seen.size();
  }

  // What was judged before this window is not needed any more.
  absl::Status Compact(int64_t revision) {
    if (revision <= compacted_) return absl::OkStatus();
    compacted_ = revision;
    pb::CompactionRequest request;
    request.set_revision(revision);
    request.set_physical(random_() % 4 == 0);
    return client_->Call(request, kPatient).status();
  }

  [[nodiscard]] std::string Line() const {
    size_t faults = 0;
    for (const auto& [name, count] : report_.faults) faults += count;
    return Cat(report_.operations, " operations in ", static_cast<int64_t>(report_.seconds), " s, ",
               faults, " faults, ", report_.transactions, " transactions, ", report_.watch_events,
               " watch events, ", report_.undecided, " undecided, ",
               report_.violations.lines().size(), " violations");
  }

  // One of them, whatever the number.
  [[nodiscard]] const std::string& Endpoint(uint64_t number) const {
    return endpoints_[number % endpoints_.size()];
  }

  const HistoryOptions options_;
  World* const world_;
  const std::function<void(const std::string&)> progress_;
  const KeySpace keys_;
  std::mt19937_64 random_;
  HistoryReport report_;
  std::vector<std::string> endpoints_;
  uint64_t asked_ = 0;
  std::vector<Operation> later_;  // that belong to the next window
  int64_t compacted_ = 1;
  std::unique_ptr<Client> client_;
  std::unique_ptr<RevisionCheck> revisions_;
  std::unique_ptr<GroupCheck> groups_;
  std::unique_ptr<Load> load_;
  std::vector<std::unique_ptr<Follower>> followers_;
};

}  // namespace

absl::StatusOr<HistoryReport> RunHistory(const HistoryOptions& options, World& world,
                                         const std::function<void(const std::string&)>& progress) {
  return Run(options, &world, progress).Do();
}

}  // namespace jetd::conformance::history
