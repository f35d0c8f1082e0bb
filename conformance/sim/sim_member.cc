// SPDX-License-Identifier: Apache-2.0
#include "conformance/sim/sim_member.h"

#include <array>
#include <functional>
#include <utility>

#include "base/strings.h"
#include "revision/value_harness.h"

namespace jetd::conformance::sim {
namespace {

using Leg = jetstream::MemoryLog::Leg;
constexpr std::array kLegs = {Leg::kRequest, Leg::kAnswer, Leg::kApi, Leg::kSync};

// So small that every limit is met with few keys.
watch::WatchHub::Options SmallHub() {
  watch::WatchHub::Options options;
  options.progress_interval = std::chrono::seconds(1);
  options.stream_buffer_bytes = 2'000;
  options.batch_bytes = 500;
  options.catch_up_batch_bytes = 800;
  options.catch_up_revisions = 7;
  options.fragment_bytes = 200;
  return options;
}

revision::Committer::Options CommitterOptions(const SimMember::Setup& setup, uint64_t id,
                                              revision::Peers* peers) {
  revision::Committer::Options options;
  options.peers = peers;
  options.member_id = id;
  options.member_name = setup.name;
  options.incarnation = setup.name + "-incarnation";
  if (!setup.folder.empty()) options.checkpoint_path = setup.folder + "/checkpoint";
  options.min_markers_for_list = 4;
  options.survey_step = 3;
  options.max_live_per_record = 2;
  if (setup.max_held_bytes.has_value()) options.max_held_bytes = *setup.max_held_bytes;
  return options;
}

}  // namespace

SimMember::SimMember(Run* run, Ledger* ledger, LeaseBook* leases, jetstream::MemoryStream* stream,
                     const Setup& setup)
    : run_(run),
      ledger_(ledger),
      leases_(leases),
      stream_(stream),
      name_(setup.name),
      judged_(setup.judged),
      log_(&run->exec, stream, setup.log) {
  if (setup.post != nullptr) {
    messenger_.emplace(&run->exec, setup.post, setup.messages);
    peers_.emplace(&run->exec, &*messenger_, revision::Peers::Member{id(), name_, {}});
  }
  if (setup.value_budget_bytes.has_value()) {
    const bool own = setup.folder.empty();
    revision::UseTinyValueFiles(&store_, own ? folder_.emplace().path() : setup.folder,
                                *setup.value_budget_bytes, /*keep=*/!own);
  }
  committer_.emplace(&run->exec, &log_, &store_,
                     CommitterOptions(setup, id(), peers_ ? &*peers_ : nullptr));
  if (peers_) courier_.emplace(&run->exec, &*committer_, &*peers_, setup.mail);
  hub_.emplace(&run->exec, &store_, SmallHub());
  lessor_.emplace(&run->exec, &*committer_, &store_, lease::Lessor::Options());
  committer_->AddListener(this);
  committer_->AddListener(&*hub_);
  committer_->AddListener(&*lessor_);
  run_->Trace(name_, " starts");
  committer_->Start([this](const absl::Status& why) {
    fatal_ = why;
    if (!expects_fatal_) run_->Fail(name_, " gives up: ", MessageOf(why));
  });
}

SimMember::~SimMember() { End(); }

void SimMember::Disconnect() {
  log_.Disconnect();
  if (messenger_) messenger_->Disconnect();
}

void SimMember::Reconnect() {
  if (messenger_) {
    messenger_->set_island(0);
    messenger_->Reconnect();
  }
  log_.Reconnect();
}

void SimMember::CutOff(Cut cut) {
  log_.CutOff();
  if (messenger_ && cut == Cut::kServer) messenger_->set_island(1);
}

void SimMember::Freeze() {
  for (const Leg leg : kLegs) log_.Hold(leg);
  if (messenger_) messenger_->Freeze();
}

void SimMember::Thaw() {
  for (const Leg leg : kLegs) log_.Release(leg);
  if (messenger_) messenger_->Thaw();
}

void SimMember::Apply(const revision::Op* op, revision::Committer::ApplyDone done) {
  if (courier_ && committer_->elsewhere() && revision::MayWrite(*op)) {
    ++run_->tally.forwarded;
    courier_->Apply(op, std::move(done));
  } else {
    committer_->Apply(op, 100, std::move(done));
  }
}

void SimMember::End() {
  if (!alive_) return;
  committer_->Stop();
  if (courier_) courier_->Stop();
  if (messenger_) messenger_->Disconnect();
  alive_ = false;
  ended_at_ = run_->exec.Now();
}

void SimMember::Kill() {
  run_->Trace(name_, " is killed");
  Disconnect();
  alive_ = false;
  ended_at_ = run_->exec.Now();
  committer_->Stop();
  if (courier_) courier_->Stop();
}

void SimMember::Stop() {
  run_->Trace(name_, " is stopped");
  End();
  const absl::Status saved = committer_->SaveCheckpoint();
  if (!saved.ok()) run_->Fail(name_, " leaves no checkpoint: ", MessageOf(saved));
}

void SimMember::OnLeading(Term term) {
  if (!alive_) return;
  serving_ = true;
  ++run_->tally.leaders;
  const auto counters = committer_->counters();
  const uint64_t held = stream_->State().messages;
  if (held > 20 && counters.replayed_records < held / 2) ++run_->tally.from_checkpoint;
  run_->Trace(name_, " leads in term ", term.value(), ", having read ", counters.replayed_records,
              " of ", held, " records");
  if (!judged_) return;
  ledger_->OnLeading(name_, term, store_);
  leases_->OnLeading(name_, term, store_);
}

void SimMember::OnFollowing(Term term) {
  if (!alive_) return;
  serving_ = true;
  ++run_->tally.followers;
  run_->Trace(name_, " follows in term ", term.value());
  if (judged_) ledger_->OnFollowing(name_, store_);
}

void SimMember::OnCommit(Revision revision, absl::Span<const revision::Change> changes) {
  if (judged_ && following() && revision > ledger_->newest()) {
    run_->Fail(name_, " shows revision ", revision.value(), ", which no leader has committed");
  }
  if (judged_) ledger_->OnCommit(name_, committer_->term(), revision, changes, store_);
}

void SimMember::OnLeaseGranted(LeaseId id, int64_t ttl_s) {
  if (judged_) leases_->OnGranted(name_, id, ttl_s);
}

void SimMember::OnLeaseGone(LeaseId id) {
  if (judged_) leases_->OnGone(name_, id);
}

void SimMember::OnCompacted(Revision revision) {
  if (judged_) ledger_->OnCompacted(name_, revision);
}

void SimMember::OnStepDown(const absl::Status& why) {
  run_->Trace(name_, " steps down: ", MessageOf(why));
}

}  // namespace jetd::conformance::sim
