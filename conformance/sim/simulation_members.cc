// SPDX-License-Identifier: Apache-2.0
//
// Members begin and end.
#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "conformance/sim/simulation.h"

namespace jetd::conformance::sim {

using std::chrono::milliseconds;

namespace {

// What a member may have deferred has run by then.
constexpr milliseconds kBuriedAfter{20};

void CopyFolder(const ScratchFolder& from, const ScratchFolder& to) {
  std::filesystem::copy(from.path(), to.path(), std::filesystem::copy_options::recursive);
}

// About 40 records of the tail. Every other member is far behind when it lacks five.
constexpr size_t kLittleHeld = 8'000;

}  // namespace

jetstream::MemoryLog::Options Simulation::LogOptions() {
  jetstream::MemoryLog::Options options;
  options.faults.request_delay = [this] { return Way(); };
  options.faults.answer_delay = [this] { return Way(); };
  options.faults.api_delay = [this] { return Way(); };
  options.faults.sync_delay = [this] { return Way() + Way(); };
  options.faults.fate = [this](StreamSeq) { return Fate(); };
  options.faults.refuse = [this](StreamSeq) {
    const bool refused = mood_.refusals && !calm_ && run_.random.Pick(400) == 0;
    if (!refused) return absl::OkStatus();
    run_.Fault("refusal");
    return MakeError(Errc::kTooManyRequests);
  };
  options.exclusive = options.answer_for_group = embedded_;
  options.replicas = server_ == Server::kReplicated ? 3 : 1;
  options.read_batch = 1 + run_.random.Pick(64);
  options.puts_off_deletions = embedded_ && run_.random.Chance(20);
  return options;
}

std::optional<size_t> Simulation::ValueBudget() {
  if (!files_) return std::nullopt;
  return run_.random.Pick(3'000);
}

// For a member's values; most often with a checkpoint that one before it left, not always the last
// one.
std::string Simulation::NewFolder(Found found) {
  if (!embedded_ || !files_) return {};
  folders_.push_back(std::make_unique<ScratchFolder>());
  if (!found.chosen && !saved_.empty() && run_.random.Chance(80)) {
    found.number = run_.random.Chance(70) ? saved_.size() - 1 : run_.random.Pick(saved_.size());
  }
  if (found.number.has_value()) CopyFolder(*saved_[*found.number], *folders_.back());
  return folders_.back()->path();
}

void Simulation::Start(Judged judged, Found found) {
  SimMember::Setup setup;
  setup.judged = judged == Judged::kYes;
  setup.name = Cat("m", ++started_);
  setup.log = LogOptions();
  if (together_) {
    setup.post = &post_;
    setup.mail = &mail_;
    setup.messages.delay = [this] { return Way(); };
    setup.messages.lose = [this] {
      if (!mood_.losses || calm_ || run_.random.Pick(150) > 0) return false;
      run_.Fault("lost message");
      return true;
    };
  }
  if (started_ % 2 == 0) setup.max_held_bytes = kLittleHeld;
  setup.value_budget_bytes = ValueBudget();
  setup.folder = NewFolder(found);
  live_.push_back(std::make_unique<SimMember>(&run_, &ledger_, &book_, &stream_, setup));
}

SimMember* Simulation::Serving() {
  std::vector<SimMember*> serving;
  for (const auto& member : live_) {
    if (member->serving()) serving.push_back(member.get());
  }
  if (serving.empty()) return nullptr;
  return !together_ && run_.random.Chance(75) ? serving.back()
                                              : serving[run_.random.Pick(serving.size())];
}

SimMember* Simulation::Writer(SimMember* member) {
  if (!member->committer().elsewhere()) return member;
  // Somebody always asks the wrong one.
  if (!calm_ && run_.random.Chance(5)) return member;
  std::vector<SimMember*> takers;
  for (const auto& one : live_) {
    if (one->serving() && !one->committer().elsewhere()) takers.push_back(one.get());
  }
  return takers.empty() ? member : takers[run_.random.Pick(takers.size())];
}

SimMember* Simulation::Leader() const {
  for (const auto& member : live_) {
    if (member->leading()) return member.get();
  }
  return nullptr;
}

void Simulation::EndMember(size_t which, End end) {
  std::unique_ptr<SimMember> member = std::move(live_[which]);
  live_.erase(live_.begin() + static_cast<std::ptrdiff_t>(which));
  if (end == End::kKilled) {
    member->Kill();
    watches_.OnMemberGone(member.get());
    kv_.OnMemberGone(member.get());
  } else {
    watches_.OnMemberGone(member.get());
    kv_.OnMemberGone(member.get());
    member->Stop();
    if (embedded_ && files_ && std::filesystem::exists(folders_.back()->path() + "/checkpoint")) {
      saved_.push_back(std::make_unique<ScratchFolder>());
      CopyFolder(*folders_.back(), *saved_.back());
    }
  }
  ended_.push_back(std::move(member));
  if (embedded_ && !calm_ && run_.random.Chance(70)) PowerCut();
  // nats-server may forget deletions that it had answered, of records that nobody can ask for.
  if (live_.empty() && run_.random.Chance(50)) {
    run_.Fault("deletions forgotten");
    stream_.ReviveDeleted([this](const auto&) { return run_.random.Chance(60); });
  }
}

void Simulation::EndNamed(const std::string& name, End end) {
  for (size_t i = 0; i < live_.size(); ++i) {
    if (live_[i]->name() == name) return EndMember(i, end);
  }
}

void Simulation::StopInOrder(SimMember* member) {
  member->committer().HandOver(0, [this, name = member->name()](const absl::Status& /*status*/) {
    // It may come from inside its end.
    run_.exec.Defer([this, name] { EndNamed(name, End::kStopped); });
  });
}

void Simulation::PowerCut() {
  // One in three leaves a hole, behind which records are there.
  const bool holes = run_.random.Chance(33);
  run_.Fault(holes ? "power cut with a hole" : "power cut");
  stream_.PowerCut([this, holes](StreamSeq) { return holes && run_.random.Chance(80); });
}

void Simulation::Bury() {
  const MonoTime now = run_.exec.Now();
  std::erase_if(ended_,
                [now](const auto& member) { return member->ended_at() + kBuriedAfter < now; });
}

void Simulation::LaterOn(std::chrono::nanoseconds delay, SimMember* member,
                         std::function<void(SimMember*)> fn) {
  run_.exec.RunAfter(delay, [this, name = member->name(), fn = std::move(fn)] {
    for (const auto& one : live_) {
      if (one->name() == name) return fn(one.get());
    }
  });
}

}  // namespace jetd::conformance::sim
