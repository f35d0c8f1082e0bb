// SPDX-License-Identifier: Apache-2.0
//
// Reads, lists in pieces, and compactions.
#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "conformance/sim/expectation.h"
#include "conformance/sim/kv_clients.h"

namespace jetd::conformance::sim {

std::shared_ptr<KvClients::Read> KvClients::MakeRead(Action range) const {
  auto read = std::make_shared<Read>();
  read->range = std::move(range);
  read->op = MakeRange(read->range);
  read->floor = ledger_->told();
  read->compacted = compacted_told_;
  return read;
}

void KvClients::SendRead(SimMember* member) {
  const std::shared_ptr<Read> read = MakeRead(maker_.Range());
  ++open_;
  member->committer().Range(
      &read->op, [this, member, read](const absl::StatusOr<revision::RangeResult>& answer) {
        if (Heard(*member, answer.status())) OnRange(member, *read, answer);
      });
}

void KvClients::OnRange(SimMember* member, const Read& read,
                        const absl::StatusOr<revision::RangeResult>& answer) {
  if (answer.ok()) {
    JudgeRange(member, read, *answer);
  } else {
    JudgeReadError(read, answer.status());
  }
}

void KvClients::JudgeRange(SimMember* member, const Read& read,
                           const revision::RangeResult& answer) {
  const Action& range = read.range;
  const Revision revision = answer.revision;
  const Revision floor = range.serializable ? member->shown : read.floor;
  const std::string name = Cat("a read of ", range.key, range.end.empty() ? "" : "..", range.end,
                               " through ", member->name());
  run_->Trace(name, " at ", range.revision.value(), " shows revision ", revision.value());
  if (revision < floor) {
    return run_->Fail(name, " is of revision ", revision.value(), ", and ", floor.value(),
                      " was told before it was asked");
  }
  const Revision at = range.revision == Revision{} ? revision : range.revision;
  if (revision > ledger_->newest() || at > revision) {
    return run_->Fail(name, " is of revision ", revision.value(), ", asked for ", at.value(),
                      ", newest ", ledger_->newest().value());
  }
  if (!range.serializable && at < read.compacted) {
    return run_->Fail(name, " shows revision ", at.value(), ", compacted at ",
                      read.compacted.value());
  }
  const std::string different =
      Difference(range, ledger_->LiveIn(range.key, range.end, at), answer);
  if (!different.empty()) {
    return run_->Fail(name, " at revision ", at.value(), " shows ", different);
  }
  if (range.serializable) member->shown = revision;
  if (!range.serializable && member->following()) ++run_->tally.follower_reads;
  ledger_->Tell(revision);
  ++run_->tally.reads;
}

void KvClients::JudgeReadError(const Read& read, const absl::Status& why) {
  const Revision at = read.range.revision;
  switch (GetErrc(why)) {
    case Errc::kUnavailable:
    case Errc::kNoLeader:
    case Errc::kTooManyRequests:
    case Errc::kNoSpace:
      return;
    case Errc::kCompacted:
      if (at == Revision{} || at >= ledger_->compacted()) {
        run_->Fail("a read of revision ", at.value(), " is told compacted; that is ",
                   ledger_->compacted().value());
      }
      return;
    case Errc::kFutureRevision:
      // A serializable one may be behind.
      if (!read.range.serializable && at <= read.floor) {
        run_->Fail("a read of revision ", at.value(), " is told of the future, and ",
                   read.floor.value(), " was told before it was asked");
      }
      return;
    default:
      run_->Fail("a read is answered ", why.ToString());
  }
}

// ---- Lists --------------------------------------------------------------------------------------

void KvClients::OpenList(SimMember* member) {
  Action range;
  range.key = "k";
  range.end = "l";
  const std::shared_ptr<Read> read = MakeRead(std::move(range));
  ++open_;
  member->committer().OpenCursor(
      &read->op, [this, member, read](const absl::StatusOr<revision::Store::Cursor>& cursor) {
        if (!Heard(*member, cursor.status())) return;
        if (!cursor.ok()) return JudgeReadError(*read, cursor.status());
        lists_.push_back({.read = read, .member = member, .cursor = *cursor, .result = {}});
      });
}

void KvClients::StepLists() {
  for (auto list = lists_.begin(); list != lists_.end();) {
    const bool goes_on = !run_->random.Chance(30) || StepList(&*list);
    list = goes_on ? std::next(list) : lists_.erase(list);
  }
}

bool KvClients::StepList(List* list) {
  const revision::Store& store = list->member->store();
  const size_t keys = 1 + run_->random.Pick(3);
  const absl::Status status = store.Step(list->read->op, keys, &list->cursor, &list->result);
  if (!status.ok()) {
    if (GetErrc(status) != Errc::kCompacted || list->cursor.at >= ledger_->compacted()) {
      run_->Fail("a list of revision ", list->cursor.at.value(), " ends with ", status.ToString());
    }
    return false;
  }
  if (!list->cursor.done) return true;
  JudgeRange(list->member, *list->read, list->result);
  return false;
}

void KvClients::OnMemberGone(const SimMember* member) {
  std::erase_if(lists_, [member](const List& list) { return list.member == member; });
}

// ---- Compactions --------------------------------------------------------------------------------

void KvClients::SendCompact(SimMember* member) {
  const int64_t newest = ledger_->told().value();
  SendCompact(member, Revision(std::max<int64_t>(newest - run_->random.Between(0, 25), 1)));
}

void KvClients::SendCompact(SimMember* member, Revision revision) {
  const auto wait = run_->random.Chance(20) ? revision::Committer::Wait::kPhysical
                                            : revision::Committer::Wait::kLogical;
  run_->Trace("to ", member->name(), ": compact at ", revision.value());
  ++compactions_[revision].asked;
  ++open_;
  member->committer().Compact(revision, wait,
                              [this, member, revision](const absl::StatusOr<Revision>& answer) {
                                if (Heard(*member, answer.status()))
                                  OnCompactAnswer(revision, answer);
                              });
}

void KvClients::OnCompactAnswer(Revision revision, const absl::StatusOr<Revision>& answer) {
  run_->Trace("compaction at ", revision.value(), ": ", answer.status().ToString());
  if (answer.ok()) {
    ++run_->tally.writes;
    compacted_told_ = std::max(compacted_told_, revision);
    if (ledger_->compacted() < revision) {
      run_->Fail("a compaction at ", revision.value(), " is answered and not committed");
    }
    return;
  }
  switch (GetErrc(answer.status())) {
    case Errc::kCompacted:
      if (ledger_->compacted() < revision) {
        run_->Fail("a compaction at ", revision.value(), " is told done before");
      }
      [[fallthrough]];
    case Errc::kUnavailable:
    case Errc::kNoLeader:
    case Errc::kNoSpace:
    case Errc::kTooManyRequests:
      break;
    default:
      run_->Fail("a compaction at ", revision.value(), " is answered ", answer.status().ToString());
  }
  Compaction& compaction = compactions_[revision];
  if (--compaction.asked == 0 && compaction.seen) {
    run_->Fail("a compaction at ", revision.value(), " was refused, and happened");
  }
}

void KvClients::OnCompacted(Revision revision) {
  Compaction& compaction = compactions_[revision];
  compaction.seen = true;
  if (compaction.asked == 0) {
    run_->Fail("a compaction at ", revision.value(), " happened, which nobody waits for");
  }
}

}  // namespace jetd::conformance::sim
