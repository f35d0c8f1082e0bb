// SPDX-License-Identifier: Apache-2.0
//
// The calm at the end of a run: everything that can settle does, and is judged.
#include <algorithm>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/strings.h"
#include "conformance/sim/simulation.h"

namespace jetd::conformance::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

bool Simulation::SettleLeader() {
  stream_.set_max_messages(jetstream::MemoryStream::kNoLimit);
  for (const auto& member : live_) {
    member->log().Disconnect();  // one that is cut off notices at last
    run_.exec.RunDeferred();
    member->log().Reconnect();
  }
  run_.exec.Advance(seconds(20));
  stream_.LandLate(SIZE_MAX);
  run_.exec.Advance(seconds(5));
  if (Leader() == nullptr && !run_.failed()) {
    Start();
    run_.exec.Advance(seconds(5));
  }
  if (Leader() != nullptr || run_.failed()) return !run_.failed();
  run_.Fail("nobody leads: ",
            live_.empty() ? "no member" : live_.back()->committer().waiting_for());
  return false;
}

void Simulation::Calm() {
  calm_ = true;
  if (!SettleLeader()) return;
  if (kv_.open() + lease_clients_.open() > 0) {
    return run_.Fail(kv_.open(), " requests and ", lease_clients_.open(),
                     " of leases were never answered");
  }
  SimMember* leader = Leader();
  watches_.MoveAll(leader);
  DrainWatches();
  // Long enough for every lease, whatever it was forgiven.
  run_.exec.Advance(seconds(40));
  if (run_.failed()) return;
  book_.JudgeExpired();
  DrainWatches();
  watches_.JudgeComplete();
  ledger_.CheckSame(leader->name(), leader->store());
  for (const auto& member : live_) run_.tally.voids += member->committer().counters().voids;
  if (!run_.failed()) StartOver();
  if (!run_.failed()) kv_.JudgeRevisions();
  if (!run_.failed() && !embedded_ && run_.random.Chance(30)) LoseTail();
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
    Start();
    run_.exec.Advance(seconds(2));
    if (Leader() == nullptr) {
      return run_.Fail("a fresh member does not lead: ", live_.back()->committer().waiting_for());
    }
    if (i == 0) EndMember(live_.size() - 1, End::kStopped);
    run_.exec.Advance(milliseconds(50));
  }
}

// The server of others comes up with older data. Whoever leads has to notice at the next request,
// and nobody may be told anything that rests on what is gone.
void Simulation::LoseTail() {
  SimMember* leader = Leader();
  const uint64_t last = stream_.last().value();
  const uint64_t lost = 1 + run_.random.Pick(std::min<uint64_t>(last, 6));
  run_.Fault("tail lost");
  leader->ExpectFatal();
  stream_.LoseTail(StreamSeq(last - lost));
  if (run_.random.Chance(50)) {
    leader->log().Disconnect();
    run_.exec.RunDeferred();
    leader->log().Reconnect();
  }
  struct Asked {
    const std::string key = "k0";
    revision::Op put{revision::PutOp{.key = key, .value = "lost"}};
    revision::RangeOp range{.keys = {key, {}}};
    bool told = false;
  };
  const auto asked = std::make_shared<Asked>();
  if (run_.random.Chance(50)) {
    leader->committer().Apply(
        &asked->put, 10,
        [asked](const absl::StatusOr<revision::OpResult>& r) { asked->told = r.ok(); });
  } else {
    leader->committer().Range(
        &asked->range,
        [asked](const absl::StatusOr<revision::RangeResult>& r) { asked->told = r.ok(); });
  }
  run_.exec.Advance(seconds(10));
  if (asked->told) run_.Fail("the stream lost ", lost, " records, and a request was answered");
  if (!leader->fatal().has_value() || GetErrc(*leader->fatal()) != Errc::kCorrupt) {
    run_.Fail("the stream lost ", lost, " records, and ", leader->name(), " did not notice");
  }
}

}  // namespace jetd::conformance::sim
