// SPDX-License-Identifier: Apache-2.0
//
// What is around the log: how much room there is, its mirrors, and what others do to the stream.
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"
#include "jetstream/mirror_compare.h"
#include "jetstream/mirror_probe.h"
#include "jetstream/nats_session.h"

namespace jetd::jetstream {

void NatsLog::OnStreamChanged(const absl::StatusOr<StreamFacts>& facts) {
  // Who reads a mirror has it change under its hands.
  if (!connected() || options_.stream.unserved) return;
  // A guard tells of what a configuration does to the stream, and whoever leads goes on reading.
  const bool unusable = session_->guard == nullptr && absl::IsFailedPrecondition(facts.status());
  if (!unusable && (!facts.ok() || facts->replicas == info_.replicas)) return;
  EndSession(MakeError(Errc::kUnavailable, "the stream was changed"));
}

void NatsLog::StartGuard() {
  if (options_.exclusive || std::exchange(guarded_, true)) return;
  if (connected()) MakeGuard();
}

void NatsLog::StopGuard() {
  guarded_ = false;
  // Not at once: this may be a part of what it calls.
  if (!connected()) return;
  Later([this, session = session_.get()] {
    if (session_.get() == session && !guarded_) session->guard.reset();
  });
}

void NatsLog::MakeGuard() {
  StreamGuard::Callbacks callbacks;
  callbacks.published = [this] { observer_->OnForeignTerm(); };
  callbacks.meddling = [this](const Meddling& meddling) { observer_->OnMeddling(meddling); };
  callbacks.another = [this](const absl::Status& why) { EndSession(why); };
  callbacks.deletes = [records = session_->records.get()] { return records->deletes(); };
  session_->guard = std::make_unique<StreamGuard>(loop_, session_->connection.get(),
                                                  session_->api.get(), info_, std::move(callbacks));
}

void NatsLog::Mirrors(const MirrorsQuestion& question, MirrorsFn done) {
  if (!connected()) {
    return Later(
        [done = std::move(done)] { done(MakeError(Errc::kUnavailable, "not connected to NATS")); });
  }
  DomainApi* const api = session_->domains.get();
  AskMirrors(api, api,
             {.bucket = options_.stream.bucket, .domain = options_.domain, .look = question},
             [done = std::move(done)](absl::StatusOr<std::vector<MirrorReport>> reports) {
               if (!reports.ok()) return done(reports.status());
               std::vector<MirrorState> states;
               for (MirrorReport& report : *reports) states.push_back(std::move(report.state));
               done(std::move(states));
             });
}

void NatsLog::CompareWithMirror(const CompareQuestion& question, CompareFn done) {
  if (!connected()) {
    return Later(
        [done = std::move(done)] { done(MakeError(Errc::kUnavailable, "not connected to NATS")); });
  }
  // Their own, so that nobody waits for a mirror that is far away, nor for large records, and these
  // not for a mirror that does not answer. Few enough that what the server sends is nothing beside
  // the writes.
  constexpr std::chrono::seconds kPatience{5};
  constexpr size_t kAtATime = 16;
  NatsConnection* const nats = session_->connection.get();
  if (session_->here == nullptr) {
    session_->here = std::make_unique<DomainApi>(loop_, nats, kPatience, 1, "o");
    session_->there = std::make_unique<DomainApi>(loop_, nats, kPatience, kAtATime, "c");
  }
  CompareRecords(session_->here.get(), session_->there.get(), options_.stream.bucket,
                 options_.domain, question, std::move(done));
}

void NatsLog::Room(RoomFn done) {
  if (!connected()) {
    return Later(
        [done = std::move(done)] { done(MakeError(Errc::kUnavailable, "not connected to NATS")); });
  }
  if (options_.disk_room == nullptr) return session_->room->Ask(std::move(done));
  State([this, done = std::move(done)](const absl::StatusOr<StreamState>& state) {
    if (!state.ok()) return done(state.status());
    done(RoomInfo{.state = *state,
                  .free_bytes = options_.disk_room(state->bytes),
                  .bound = "the disk of the data folder"});
  });
}

}  // namespace jetd::jetstream
