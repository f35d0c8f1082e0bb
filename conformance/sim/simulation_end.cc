// SPDX-License-Identifier: Apache-2.0
//
// The calm at the end of a run: everything that can settle does, and is judged.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "base/strings.h"
#include "conformance/sim/simulation.h"
#include "jetstream/silent_observer.h"
#include "jetstream/subject.h"
#include "replication/stream_check.h"

namespace jetd::conformance::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string Simulation::Stands() const {
  std::string text;
  for (const auto& member : live_) {
    const std::string waiting = member->committer().waiting_for();
    CatTo(text, text.empty() ? "" : ", ", member->name(), " in phase ",
          static_cast<int>(member->committer().phase()), waiting.empty() ? "" : " waits for ",
          waiting);
  }
  return text;
}

// A start reads the stream twice. Each batch of a reading, which may be one record, is under way
// for up to mood_.leg, and all else that a start does is done in `least`:
//
//   seed 2278, replicated   leg 2 ms, batches of one record, 1,000 records: 2.0 s of 2 x 1,001 ms
//                           are gone at record 937 of the second reading; 6.0 s are allowed
SimMember* Simulation::AwaitLeader(std::chrono::nanoseconds least) {
  run_.exec.Advance(least);
  if (Leader() == nullptr && !run_.failed()) {
    constexpr int64_t kReadings = 2;
    const auto batches = static_cast<int64_t>(stream_.State().messages) + 1;
    run_.exec.Advance(kReadings * batches * mood_.leg);
  }
  return Leader();
}

bool Simulation::SettleLeader() {
  stream_.set_max_messages(jetstream::MemoryStream::kNoLimit);
  for (const auto& member : live_) {
    member->Disconnect();  // one that is cut off notices at last
    run_.exec.RunDeferred();
    member->Reconnect();
  }
  run_.exec.Advance(seconds(20));
  stream_.LandLate(SIZE_MAX);
  run_.exec.Advance(seconds(5));
  if (Leader() == nullptr && !run_.failed()) {
    Start();
    (void)AwaitLeader(seconds(5));
  }
  if (Leader() != nullptr || run_.failed()) return !run_.failed();
  run_.Fail("nobody leads: ", Stands());
  return false;
}

void Simulation::Calm() {
  calm_ = true;
  if (!SettleLeader()) return;
  if (open() > 0) {
    return run_.Fail(kv_.open(), " requests, ", lease_clients_.open(), " of leases and ",
                     alarms_.open(), " of alarms were never answered; ", Stands());
  }
  SimMember* leader = Leader();
  alarms_.Change(leader, revision::Committer::AlarmChange::kDisarm);
  run_.exec.Advance(seconds(1));
  for (const auto& member : live_) {
    if (together_ || member.get() == leader) AskInCalm(member.get());
  }
  if (!run_.failed()) TakeOverInCalm();
  if (run_.failed()) return;
  leader = Leader();
  if (together_) {
    watches_.OpenHomeless(leader);
  } else {
    watches_.MoveAll(leader);
  }
  DrainWatches();
  // Long enough for every lease, whatever it was forgiven.
  run_.exec.Advance(seconds(40));
  CleanUp(leader);
  if (run_.failed()) return;
  book_.JudgeExpired();
  DrainWatches();
  watches_.JudgeComplete();
  JudgeMembers();
  for (const auto& member : live_) run_.tally.voids += member->committer().counters().voids;
  if (!run_.failed()) StartOver();
  if (!run_.failed()) kv_.JudgeRevisions();
  if (!run_.failed()) CheckStream();
  if (run_.failed() || !run_.random.Chance(30)) return;
  if (!embedded_) return together_ && run_.random.Chance(40) ? LoseTailUnseen() : LoseTail();
  if (!files_) return;
  run_.random.Chance(50) ? PutBack() : OutdateCheckpoint();
}

// Whoever begins at a checkpoint of before cannot see by the stream what was deleted since.
void Simulation::CleanUp(SimMember* member) {
  if (!mood_.compacts || !run_.random.Chance(50)) return;
  kv_.SendDeletion(member);
  run_.exec.Advance(seconds(1));
  // A marker at the compact revision stays.
  kv_.SendWrite(member, LeaseId{});
  run_.exec.Advance(seconds(1));
  kv_.SendCompact(member, ledger_.newest());
  run_.exec.Advance(seconds(5));
}

void Simulation::JudgeMembers() {
  SimMember* leader = Leader();
  if (leader == nullptr) return run_.Fail("nobody leads any more");
  for (const auto& member : live_) {
    if (!together_ && member.get() != leader) continue;
    if (member.get() != leader && (!member->following() || !member->committer().has_leader())) {
      run_.Fail(member->name(), " follows nobody: ", member->committer().waiting_for());
    }
    ledger_.CheckSame(member->name(), member->store());
  }
}

void Simulation::AskInCalm(SimMember* member) {
  SimMember* writer = Writer(member);
  run_.SetCalm(true);
  for (int i = 0; i < 10; ++i) {
    kv_.SendWrite(member, lease_clients_.Some());
    kv_.SendRead(member);
    if (mood_.leases) lease_clients_.Send(writer);
    alarms_.List(member);
    run_.exec.Advance(run_.random.Delay(mood_.leg));
  }
  kv_.OpenList(member);
  for (int i = 0; i < 40; ++i) {
    // By itself: a follower from which a record is removed before it has read it starts anew, and
    // what it has asked the leader then is lost.
    if (i == 20 && mood_.compacts) kv_.SendCompact(writer);
    run_.exec.Advance(milliseconds(100));
    kv_.StepLists();
  }
  run_.SetCalm(false);
  if (!run_.failed() && open() > 0) {
    run_.Fail(kv_.open(), " requests, ", lease_clients_.open(), " of leases and ", alarms_.open(),
              " of alarms have no answer in the calm; ", Stands());
  }
}

void Simulation::TakeOverInCalm() {
  if (!together_ || live_.size() < 2 || run_.random.Chance(40)) return;
  SimMember* leader = Leader();
  if (run_.random.Chance(50)) {
    EndNamed(leader->name(), End::kKilled);
  } else {
    StopInOrder(leader);
  }
  run_.exec.Advance(seconds(5));
  if (Leader() == nullptr) run_.Fail("the leader ended in the calm, and nobody took over");
}

void Simulation::DrainWatches() {
  for (int round = 0; round < 2'000 && !run_.failed(); ++round) {
    const bool idle = watches_.Drain();
    run_.exec.Advance(milliseconds(5));
    if (idle && watches_.Drain()) return;
  }
  if (!run_.failed()) run_.Fail("watches never come to rest");
}

// A member that reads all, and one that begins at a checkpoint, hold the same; the ledger judges
// when they lead.
void Simulation::StartOver() {
  while (!live_.empty()) EndMember(live_.size() - 1, End::kStopped);
  for (int i = 0; i < 2 && !run_.failed(); ++i) {
    Found found;
    if (i == 0 && saved_.size() > 1 && run_.random.Chance(50)) {
      found = {.chosen = true, .number = run_.random.Pick(saved_.size() - 1)};
    }
    Start(Judged::kYes, found);
    if (AwaitLeader(seconds(2)) == nullptr) {
      return run_.Fail("a fresh member does not lead: ", live_.back()->committer().waiting_for());
    }
    if (i == 0) EndMember(live_.size() - 1, End::kStopped);
    run_.exec.Advance(milliseconds(50));
  }
}

void Simulation::CheckStream() {
  jetstream::MemoryLog::Options options;
  options.exclusive = embedded_;
  jetstream::MemoryLog log(&run_.exec, &stream_, options);
  jetstream::SilentObserver observer;
  log.Open(&observer, [](const absl::Status&) {});
  run_.exec.RunDeferred();
  const jetstream::SubjectCodec codec(stream_.bucket());
  revision::Store store;
  replication::StreamCheck check(&log, &codec, {.store = &store});
  std::optional<absl::StatusOr<replication::CheckReport>> result;
  check.Run([&result](absl::StatusOr<replication::CheckReport> r) { result = std::move(r); });
  run_.exec.Advance(seconds(1));
  log.Close();
  run_.exec.RunDeferred();
  if (!result.has_value() || !result->ok()) {
    return run_.Fail("the stream cannot be checked: ",
                     result.has_value() ? result->status().ToString() : "no end");
  }
  const replication::CheckReport& report = **result;
  if (report.damages() > 0) {
    return run_.Fail("a check of the stream finds ", report.damages(), " damages, first: ",
                     report.problems.empty() ? "" : ToText(report.problems.front()));
  }
  run_.tally.garbage += report.garbage.sum();
  const Revision compacted = std::max(ledger_.compacted(), Revision(0));
  if (report.revision != ledger_.newest() || report.compacted != compacted ||
      report.leases != book_.living() || report.hash != ledger_.Hash()) {
    run_.Fail("a check of the stream reads revision ", report.revision.value(), ", compacted ",
              report.compacted.value(), ", ", report.leases, " leases, HashKV ", report.hash,
              "; entered: ", ledger_.newest().value(), ", ", compacted.value(), ", ",
              book_.living(), ", ", ledger_.Hash());
  }
}

}  // namespace jetd::conformance::sim
