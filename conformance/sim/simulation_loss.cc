// SPDX-License-Identifier: Apache-2.0
//
// The server of others comes up with older data. These are stories of their own, at the end of a
// run: what is written then is in no ledger.
#include <algorithm>
#include <memory>
#include <optional>

#include "base/error.h"
#include "conformance/sim/expectation.h"
#include "conformance/sim/loss_watch.h"
#include "conformance/sim/simulation.h"
#include "jetstream/record.h"
#include "revision/request.h"

namespace jetd::conformance::sim {

using std::chrono::seconds;

namespace {

// What whoever sees the loss writes: a term, the alarm, a compaction.
constexpr uint64_t kLastWords = 3;
// As long as somebody may take to write that down.
constexpr seconds kLossSettled{40};

// A request that rests on what is gone, and the revision that its answer named.
struct Asked {
  revision::Op put{revision::PutOp{.key = "k0", .value = "lost"}};
  revision::RangeOp range{.keys = {"k0", {}}};
  std::optional<Revision> told;
};

void AskForWrite(revision::Committer& committer, const std::shared_ptr<Asked>& asked) {
  committer.Apply(&asked->put, 10, [asked](const absl::StatusOr<revision::OpResult>& answer) {
    if (answer.ok()) asked->told = RevisionOf(*answer);
  });
}

void AskForRead(revision::Committer& committer, const std::shared_ptr<Asked>& asked) {
  committer.Range(&asked->range, [asked](const absl::StatusOr<revision::RangeResult>& answer) {
    if (answer.ok()) asked->told = answer->revision;
  });
}

}  // namespace

// Whoever leads has to notice at the next request, and nobody may be told anything that rests on
// what is gone. There may be a follower, which has seen it too, and whose connection may last:
//
//   stream 1..90, all read by the follower    its tail is lost from 88 on
//   the leader writes 88, 89, 90 and ends     the stream ends where the follower stands, so nothing
//                                             new comes to it; it takes over, and has to look
void Simulation::LoseTail() {
  SimMember* leader = Leader();
  const bool followed = together_ && run_.random.Chance(50);
  std::optional<LossWatch> watch;
  if (followed) {
    Start(Judged::kNo);
    run_.exec.Advance(seconds(1));
    leader->StopJudging();
    SimMember* follower = live_.back().get();
    if (follower->serving()) watch.emplace(&run_, follower, Revision{});
  }
  const uint64_t last = stream_.last().value();
  const uint64_t most = run_.random.Chance(70) ? 6 : 100;
  uint64_t lost = 1 + run_.random.Pick(std::min<uint64_t>(last, most));
  const bool made_up = followed && run_.random.Chance(30);
  if (made_up) lost = std::min(last, kLastWords);
  run_.Fault(made_up    ? "tail lost that last words make up for"
             : followed ? "tail lost, with a follower"
                        : "tail lost");
  stream_.LoseTail(StreamSeq(last - lost));
  for (const auto& member : live_) {
    member->ExpectFatal();
    const bool stays = made_up && member.get() != leader;
    if (stays || run_.random.Chance(50)) continue;
    member->Disconnect();
    run_.exec.RunDeferred();
    member->Reconnect();
  }
  const auto asked = std::make_shared<Asked>();
  (run_.random.Chance(50) ? AskForWrite : AskForRead)(leader->committer(), asked);
  run_.exec.Advance(kLossSettled);
  // One that follows by then may be told of what came after.
  if (asked->told.has_value() && (!followed || *asked->told <= ledger_.newest())) {
    run_.Fail("the stream lost ", lost, " records, and a request was answered at ",
              asked->told->value());
  }
  const bool noticed = std::any_of(live_.begin(), live_.end(), [](const auto& member) {
    return member->fatal().has_value() && GetErrc(*member->fatal()) == Errc::kCorrupt;
  });
  if (!noticed) run_.Fail("the stream lost ", lost, " records, and nobody noticed");
  if (!run_.failed()) JudgeSuccessor(ledger_.newest(), watch.has_value() ? &*watch : nullptr);
  if (watch.has_value()) watch->JudgeEnded(ledger_.newest());
}

// Whoever led knows, and is gone; a follower knows, and is not there yet. At times nothing is lost
// but the leader.
void Simulation::LoseTailUnseen() {
  SimMember* leader = Leader();
  leader->StopJudging();
  Start(Judged::kNo);
  SimMember* witness = live_.back().get();
  WriteUnjudged(0);
  if (run_.failed()) return;
  LossWatch watch(&run_, witness, Revision{});
  const uint64_t before = stream_.last().value();
  WriteUnjudged(1 + run_.random.Pick(10));
  if (run_.failed()) return;
  const Revision shown = witness->store().committed();
  if (!witness->following() || shown < leader->store().committed() || watch.seen() < shown) {
    return run_.Fail(witness->name(), " does not follow: ", witness->committer().waiting_for());
  }
  const bool alarmed = leader->committer().alarms().Has(jetstream::AlarmType::kCorrupt);
  const uint64_t last = stream_.last().value();
  const uint64_t left = before + run_.random.Pick(last - before + 1);
  run_.Fault(left < last ? "tail lost, and its leader" : "leader lost, and no tail");
  witness->Disconnect();
  EndNamed(leader->name(), End::kKilled);
  run_.exec.RunDeferred();
  stream_.LoseTail(StreamSeq(left));
  Start(Judged::kNo);
  WriteUnjudged(0);
  if (run_.failed()) return;
  const bool lost = Leader()->store().committed() < shown;
  WriteUnjudged(run_.random.Pick(15));
  if (run_.failed()) return;
  const Revision told = std::max(shown, Leader()->store().committed());
  if (lost) {
    for (const auto& member : live_) member->ExpectFatal();
  }
  watch.Write();
  witness->Reconnect();
  run_.exec.Advance(kLossSettled);
  if (!lost) return JudgeNothingLost(told, alarmed, &watch);
  JudgeSuccessor(told, &watch);
  watch.JudgeEnded(shown);
}

// Who leads next knows of the loss by what the one before has left: no revision that anybody was
// told of means something else, and no watch goes on behind it.
void Simulation::JudgeSuccessor(Revision told, LossWatch* watch) {
  for (size_t i = live_.size(); i-- > 0;) {
    if (live_[i]->fatal().has_value()) EndMember(i, End::kStopped);
  }
  if (live_.empty()) Start(Judged::kNo);
  SimMember* leader = AwaitLeader(seconds(10));
  if (leader == nullptr) {
    return run_.Fail("nobody leads after the loss: ", live_.back()->committer().waiting_for());
  }
  const revision::Store& store = leader->store();
  if (store.committed() <= told || store.compacted() <= told) {
    run_.Fail("after the loss revision ", told.value(), " may come again: ", leader->name(),
              " is at ", store.committed().value(), ", compacted at ", store.compacted().value());
  }
  if (!leader->committer().alarms().Has(jetstream::AlarmType::kCorrupt)) {
    run_.Fail("after the loss no alarm is raised");
  }
  // Of a client whose member is gone.
  LossWatch moved(&run_, leader, told.Next());
  if (watch != nullptr) watch->Write();
  run_.exec.Advance(seconds(1));
  moved.JudgeEnded(told);
}

// Of what the stream has lost nobody was shown anything: all goes on from there.
void Simulation::JudgeNothingLost(Revision told, bool alarmed, LossWatch* watch) {
  SimMember* leader = Leader();
  if (leader == nullptr) return run_.Fail("nothing is lost, and nobody leads: ", Stands());
  if (!alarmed && leader->committer().alarms().Has(jetstream::AlarmType::kCorrupt)) {
    run_.Fail("nothing is lost, and the alarm is raised");
  }
  const auto hash = leader->store().HashKv(Revision());
  for (const auto& member : live_) {
    const auto same = member->store().HashKv(Revision());
    if (member->store().committed() == told && hash.ok() && same.ok() && same->hash == hash->hash) {
      continue;
    }
    run_.Fail("nothing is lost up to ", told.value(), ", and ", member->name(), " is at ",
              member->store().committed().value(), "; ", Stands());
  }
  watch->Write();
  run_.exec.Advance(seconds(1));
  if (watch->over() || watch->seen() != told) {
    run_.Fail("nothing is lost up to ", told.value(), ", and a watch ",
              watch->over() ? "is canceled at " : "stands at ", watch->seen().value());
  }
}

}  // namespace jetd::conformance::sim
