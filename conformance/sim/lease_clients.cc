// SPDX-License-Identifier: Apache-2.0
#include "conformance/sim/lease_clients.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/strings.h"

namespace jetd::conformance::sim {

using lease::Lessor;

LeaseId LeaseClients::Some() {
  if (known_.empty()) return LeaseId{};
  // Most often one of the newest: the others are gone, which is asked for now and then.
  const size_t back = std::min(known_.size(), run_->random.Chance(85) ? size_t{3} : known_.size());
  return known_[known_.size() - 1 - run_->random.Pick(back)];
}

void LeaseClients::Send(SimMember* member) {
  const size_t what = run_->random.Pick(100);
  const LeaseId id = Some();
  if (what < 25 || id == LeaseId{}) {
    Grant(member);
  } else if (what < 70) {
    KeepAlive(member, id);
  } else if (what < 80) {
    Revoke(member, id);
  } else if (what < 92) {
    TimeToLive(member, id);
  } else {
    List(member);
  }
}

bool LeaseClients::Heard(const SimMember& member, const absl::Status& status) {
  --open_;
  const Errc why = GetErrc(status);
  if (!run_->MayHear(why)) run_->Fail("a lease request in the calm: ", status.ToString());
  if (!member.alive() || why == Errc::kTimeout || why == Errc::kStopped) {
    ++run_->tally.unknown;
    return false;
  }
  run_->Mix(static_cast<uint64_t>(why) + 100);
  ++(status.ok() ? run_->tally.leases : run_->tally.refused);
  return true;
}

void LeaseClients::JudgeError(const absl::Status& status) {
  const Errc why = GetErrc(status);
  if (why == Errc::kUnavailable || why == Errc::kNoLeader || why == Errc::kNoSpace ||
      why == Errc::kTooManyRequests) {
    return;
  }
  run_->Fail("a lease request was answered ", status.ToString());
}

// It was there when the answer says so.
void LeaseClients::ExpectThere(LeaseId id, MonoTime sent, const char* what) {
  const LeaseBook::Lease& lease = book_->Of(id);
  if (!lease.granted) run_->Fail(what, " of lease ", id.value(), ", which was never granted");
  if (lease.gone && *lease.gone < sent) {
    run_->Fail(what, " of lease ", id.value(), ", which was gone before it was asked for");
  }
}

void LeaseClients::Grant(SimMember* member) {
  const int64_t ttl_s = run_->random.Between(2, 8);
  const LeaseId id = book_->Ask(ttl_s);
  run_->Trace("to ", member->name(), ": grant lease ", id.value(), " for ", ttl_s, " s");
  ++open_;
  member->lessor().Grant(
      id, ttl_s,
      [this, member, id, asked = book_->AskNow()](const absl::StatusOr<Lessor::Granted>& r) {
        if (!Heard(*member, r.status())) return;
        LeaseBook::Lease& lease = book_->Of(id);
        run_->Trace("lease ", id.value(), " granted: ", r.status().ToString());
        if (!r.ok()) {
          JudgeError(r.status());
          lease.refused = true;
          if (lease.granted) run_->Fail("lease ", id.value(), " was refused, and is granted");
          return;
        }
        if (!lease.granted) run_->Fail("lease ", id.value(), " is answered and not committed");
        if (r->id != id || r->ttl_s != lease.ttl_s) {
          run_->Fail("lease ", id.value(), " is answered as ", r->id.value(), " for ", r->ttl_s);
        }
        book_->Renew(id, asked);
        known_.push_back(id);
      });
}

void LeaseClients::Revoke(SimMember* member, LeaseId id) {
  run_->Trace("to ", member->name(), ": revoke lease ", id.value());
  ++open_;
  ++book_->Of(id).revokes;
  member->lessor().Revoke(
      id, [this, member, id, floor = ledger_->told()](const absl::StatusOr<Revision>& r) {
        if (!Heard(*member, r.status())) return;
        LeaseBook::Lease& lease = book_->Of(id);
        run_->Trace("lease ", id.value(), " revoked: ", r.status().ToString());
        if (r.ok() || GetErrc(r.status()) == Errc::kLeaseNotFound) {
          if (!book_->MayBeMissing(id))
            run_->Fail("lease ", id.value(), " is told gone, and is there");
          if (r.ok()) JudgeRevoked(id, floor, *r);
          return;
        }
        JudgeError(r.status());
        --lease.revokes;
      });
}

void LeaseClients::JudgeRevoked(LeaseId id, Revision floor, Revision revision) {
  if (revision < floor || revision > ledger_->newest()) {
    return run_->Fail("lease ", id.value(), " is revoked at ", revision.value(),
                      "; told before: ", floor.value(), ", newest: ", ledger_->newest().value());
  }
  if (!ledger_->KeysOf(id, revision).empty()) {
    run_->Fail("lease ", id.value(), " is revoked at ", revision.value(), ", and has a key then");
  }
  ledger_->Tell(revision);
}

void LeaseClients::KeepAlive(SimMember* member, LeaseId id) {
  run_->Trace("to ", member->name(), ": keep lease ", id.value(), " alive");
  ++open_;
  book_->BeginRenewal(id);
  member->lessor().KeepAlive(
      id, [this, member, id, asked = book_->AskNow()](const absl::StatusOr<int64_t>& r) {
        book_->EndRenewal(id);
        if (!Heard(*member, r.status())) return;
        if (!r.ok()) return JudgeError(r.status());
        run_->Trace("lease ", id.value(), " has ", *r, " s");
        if (*r == 0) {
          if (!book_->MayBeMissing(id)) {
            run_->Fail("lease ", id.value(), " is not renewed, and is there");
          }
          return;
        }
        ExpectThere(id, asked.at, "a keepalive");
        if (*r != book_->Of(id).ttl_s) run_->Fail("lease ", id.value(), " renewed for ", *r, " s");
        book_->Renew(id, asked);
      });
}

void LeaseClients::TimeToLive(SimMember* member, LeaseId id) {
  ++open_;
  member->lessor().TimeToLive(
      id, Lessor::WithKeys::kYes,
      [this, member, id,
       asked = book_->AskNow(id)](const absl::StatusOr<Lessor::TimeToLiveResult>& r) {
        if (!Heard(*member, r.status())) return;
        if (!r.ok()) return JudgeError(r.status());
        if (r->id != id) run_->Fail("asked for lease ", id.value(), ", told of ", r->id.value());
        JudgeTimeToLive(*member, asked, *r);
      });
}

void LeaseClients::JudgeTimeToLive(const SimMember& member, const LeaseBook::Asked& asked,
                                   const Lessor::TimeToLiveResult& answer) {
  if (answer.ttl_s < 0) {
    if (!book_->MayBeMissing(answer.id)) {
      run_->Fail("lease ", answer.id.value(), " has no time to live, and is there");
    }
    return;
  }
  ExpectThere(answer.id, asked.at, "the time to live");
  const LeaseBook::Lease& lease = book_->Of(answer.id);
  const auto seconds_of = [](MonoTime left) {
    return std::chrono::duration_cast<std::chrono::seconds>(left).count();
  };
  const int64_t least = seconds_of(book_->LeastLeft(answer.id, asked));
  const int64_t most = seconds_of(book_->MostLeft(answer.id));
  if (answer.granted_ttl_s != lease.ttl_s || answer.ttl_s > most || answer.ttl_s < least) {
    run_->Fail("lease ", answer.id.value(), " of ", lease.ttl_s, " s has ", answer.ttl_s,
               " s left of ", answer.granted_ttl_s, "; promised: ", least, ", possible: ", most);
  }
  std::vector<std::string> keys = answer.keys;
  std::sort(keys.begin(), keys.end());
  if (keys != ledger_->KeysOf(answer.id, member.store().committed())) {
    run_->Fail("lease ", answer.id.value(), " has other keys than those put on it");
  }
}

void LeaseClients::List(SimMember* member) {
  std::set<LeaseId> before;
  for (const auto& [id, lease] : book_->all()) {
    if (lease.granted && !lease.gone) before.insert(id);
  }
  ++open_;
  member->lessor().Leases([this, member, before = std::move(before),
                           sent = run_->exec.Now()](const absl::StatusOr<std::vector<LeaseId>>& r) {
    if (!Heard(*member, r.status())) return;
    if (!r.ok()) return JudgeError(r.status());
    JudgeList(before, sent, *r);
  });
}

void LeaseClients::JudgeList(const std::set<LeaseId>& before, MonoTime sent,
                             const std::vector<LeaseId>& answer) {
  for (const LeaseId id : answer) ExpectThere(id, sent, "a list");
  for (const LeaseId id : before) {
    const bool listed = std::find(answer.begin(), answer.end(), id) != answer.end();
    if (!listed && !book_->Of(id).gone) run_->Fail("lease ", id.value(), " is not listed");
  }
}

}  // namespace jetd::conformance::sim
