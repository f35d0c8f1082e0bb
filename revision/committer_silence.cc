// SPDX-License-Identifier: Apache-2.0
//
// A nats-server that is connected and says nothing: frozen, behind a network that swallows what is
// sent, or a stream leader without its followers. Its connection is given up only when an answer is
// missing for long (NatsLogOptions::answer_timeout); clients are told before that.
#include <utility>

#include "base/error.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/log_fields.h"
#include "revision/committer_impl.h"

namespace jetd::revision {
namespace {

// How often is looked, while an answer is owed.
constexpr std::chrono::milliseconds kLook{250};

}  // namespace

bool Committer::Impl::IsOwedAnswers() const { return chain.unanswered() > 0 || reads.in_flight(); }

void Committer::Impl::WatchSilence() {
  if (silence.timer != 0 || phase != Phase::kLeading || !IsOwedAnswers()) return;
  NoteAnswers();
  silence.timer = executor->RunAfter(kLook, [this] { LookForSilence(); });
}

void Committer::Impl::NoteAnswers() {
  silence.since = executor->Now();
  silence.landed = chain.landed();
  silence.barriers = reads.barriers_answered();
}

// On a replicated stream only a record that landed says that somebody is there: see ReadQueue.
bool Committer::Impl::HasHeard() const {
  return chain.landed() != silence.landed ||
         (info.replicas == 1 && reads.barriers_answered() != silence.barriers);
}

void Committer::Impl::LookForSilence() {
  silence.timer = 0;
  if (phase != Phase::kLeading) return;
  if (HasHeard()) {
    if (std::exchange(silence.lasts, false)) {
      log::Info("nats-server answers again{}", log::Event("nats_answers"));
      Resume();
    }
    NoteAnswers();
  } else if (!silence.lasts && IsOwedAnswers() &&
             executor->Now() - silence.since >= limits::kUnavailableAfter) {
    silence.lasts = impatient = true;
    waiting_for = "an answer from nats-server, which is connected and silent";
    log::Warn("no answer for {} s: waiting for {}{}", limits::kUnavailableAfter.count(),
              log::As("waiting_for", waiting_for), log::Event("nats_silent"));
    FailAll(MakeError(Errc::kNoLeader, waiting_for), MakeError(Errc::kTimeout, waiting_for));
  }
  if (!silence.lasts && !IsOwedAnswers()) return;
  if (silence.lasts && chain.unanswered() == 0) AskAgain();
  silence.timer = executor->RunAfter(kLook, [this] { LookForSilence(); });
}

// Nobody else asks any more: new requests are refused.
void Committer::Impl::AskAgain() {
  if (info.replicas == 1) {
    reads.Probe();
  } else {
    AppendBarrier();
    chain.SendMore();
  }
}

bool Committer::serving() const { return leading() && !impl_->impatient; }

std::string Committer::waiting_for() const {
  const bool waits = !serving() && (!has_leader() || impl_->room_awaited);
  return waits ? impl_->waiting_for : std::string();
}

}  // namespace jetd::revision
