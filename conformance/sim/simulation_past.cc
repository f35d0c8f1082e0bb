// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints that the stream has no use for: whoever starts with one must come to the same as
// whoever reads all. These are stories of their own, which nobody else judges.
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

#include "conformance/sim/simulation.h"
#include "revision/request.h"
#include "revision/store.h"

namespace jetd::conformance::sim {

using std::chrono::seconds;

// Somebody stops jetd, puts an older copy of nats-server's folder in its place, and starts it
// again. What was written in between is gone, and nobody can know; the checkpoint has it.
void Simulation::PutBack() {
  while (!live_.empty()) EndMember(live_.size() - 1, End::kKilled);
  run_.Fault("older data");
  const uint64_t copied = stream_.last().value();
  Start(Judged::kNo);
  WriteUnjudged(1 + run_.random.Pick(20));
  if (run_.failed()) return;
  EndMember(live_.size() - 1, End::kStopped);
  // Its term record may be older than the copy.
  const uint64_t written = stream_.last().value() - copied;
  stream_.LoseTail(StreamSeq(copied + run_.random.Pick(written)));
  Start(Judged::kNo, {.chosen = true, .number = std::nullopt});
  WriteUnjudged(60);
  if (run_.failed()) return;
  EndMember(live_.size() - 1, End::kKilled);
  CompareStarts();
}

// A leader leaves a checkpoint whose two proofs stay: its term record, since that has voids, and
// the record at its end. The next one deletes, compacts and removes, and no proof tells.
void Simulation::OutdateCheckpoint() {
  while (!live_.empty()) EndMember(live_.size() - 1, End::kKilled);
  run_.Fault("outdated checkpoint");
  if (!LeadWithVoids()) return;
  WriteUnjudged(20);
  Unjudged(revision::PutOp{.key = "last", .value = "stays"});
  run_.exec.Advance(seconds(1));
  if (run_.failed()) return;
  EndMember(live_.size() - 1, End::kStopped);
  Start(Judged::kNo, {.chosen = true, .number = std::nullopt});
  WriteUnjudged(1);
  if (run_.failed()) return;
  Unjudged(revision::DeleteOp{.keys = {"k", "l"}});
  // A marker at the compact revision stays.
  Unjudged(revision::PutOp{.key = "next", .value = "there"});
  run_.exec.Advance(seconds(1));
  SimMember* leader = Leader();
  leader->committer().Compact(leader->store().committed(), revision::Committer::Wait::kLogical,
                              [](const auto& /*answer*/) {});
  run_.exec.Advance(seconds(10));
  EndMember(live_.size() - 1, End::kKilled);
  CompareStarts();
}

// Members that write transactions end with the power, until what one leaves has to be voided.
bool Simulation::LeadWithVoids() {
  for (int tries = 0; tries < 20 && !run_.failed(); ++tries) {
    Start(Judged::kNo, {.chosen = true, .number = std::nullopt});
    WriteUnjudged(0);
    if (run_.failed()) return false;
    if (Leader()->committer().counters().voids > 0) return true;
    for (int i = 0; i < 5; ++i) {
      revision::TxnOp txn;
      for (const std::string_view key : {"k0", "k1", "k2", "k3"}) {
        txn.success.push_back({revision::PutOp{.key = key, .value = "whole"}});
      }
      Unjudged(std::move(txn));
    }
    run_.exec.Advance(run_.random.Delay(6 * mood_.leg));
    EndMember(live_.size() - 1, End::kKilled);
    PowerCut();
  }
  return false;
}

void Simulation::CompareStarts() {
  const auto with = StateOfNext({.chosen = true, .number = saved_.size() - 1});
  const auto without = StateOfNext({.chosen = true, .number = std::nullopt});
  if (run_.failed() || with == without) return;
  run_.Fail("with a checkpoint of before: revision ", with->revision.value(), ", HashKV ",
            with->hash, "; without: ", without->revision.value(), ", ", without->hash);
}

template <typename Action>
void Simulation::Unjudged(Action action) {
  revision::Op& op = unjudged_.emplace_back();
  op.v = std::move(action);
  Leader()->committer().Apply(&op, 10, [](const auto& /*answer*/) {});
}

void Simulation::WriteUnjudged(size_t count) {
  if (AwaitLeader(seconds(5)) == nullptr) {
    return run_.Fail("nobody leads: ", live_.back()->committer().waiting_for());
  }
  for (; count > 0; --count) {
    static constexpr std::string_view kKeys[] = {"k0", "k1", "k2", "k3", "k4", "k5"};
    static constexpr std::string_view kValues[] = {"a", "bb", "ccc"};
    const std::string_view key = kKeys[run_.random.Pick(std::size(kKeys))];
    Unjudged(revision::PutOp{.key = key, .value = kValues[run_.random.Pick(std::size(kValues))]});
    run_.exec.Advance(run_.random.Delay(mood_.pace));
  }
  run_.exec.Advance(seconds(5));
}

std::optional<Simulation::State> Simulation::StateOfNext(Found found) {
  Start(Judged::kNo, found);
  const SimMember* leader = AwaitLeader(seconds(5));
  if (leader == nullptr) {
    run_.Fail("nobody leads: ", live_.back()->committer().waiting_for());
    return std::nullopt;
  }
  const revision::Store& store = leader->store();
  const auto hash = store.HashKv(Revision());
  if (!hash.ok()) run_.Fail("no HashKV: ", hash.status().ToString());
  const State state{.revision = store.committed(),
                    .compacted = store.compacted(),
                    .hash = hash.ok() ? hash->hash : 0};
  EndMember(live_.size() - 1, End::kKilled);
  return state;
}

}  // namespace jetd::conformance::sim
