// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_SIM_LEDGER_H_
#define JETD_CONFORMANCE_SIM_LEDGER_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "base/types.h"
#include "conformance/sim/run.h"
#include "revision/kv.h"
#include "revision/store.h"

namespace jetd::conformance::sim {

// One version, written out.
struct Version {
  std::string key;
  std::string value;
  Revision mod;
  uint32_t sub = 0;
  Revision create;
  int64_t version = 0;
  LeaseId lease;
  bool tombstone = false;

  friend bool operator==(const Version&, const Version&) = default;
};
[[nodiscard]] std::string ToString(const Version& v);
// `with_value` false: the value counts for nothing, and may be in a file.
[[nodiscard]] bool Same(const Version& v, const revision::KvBlock& kv, bool with_value = true);

// Ledger is what happened: the first member that makes a revision visible writes it down, and from
// then on every member that commits, replays or begins at a checkpoint has to say the same. It
// keeps all of the past, and a Store of its own beside it, fed with the bare changes, for HashKV.
//
//   m1 commits 7      entered
//   m1 is killed; m2 replays up to 9, and leads
//                     2 to 7 are as before, or else something is lost; 8 and 9 are entered
//   m1's ack of 8 comes late
//                     the same as m2's
class Ledger {
 public:
  explicit Ledger(Run* run) : run_(run) {}

  // Called for each revision when it is entered, and for each compaction.
  void set_on_entered(std::function<void(Revision)> fn) { on_entered_ = std::move(fn); }
  void set_on_compacted(std::function<void(Revision)> fn) { on_compacted_ = std::move(fn); }

  // A member made a transaction visible.
  void OnCommit(const std::string& member, Term term, Revision revision,
                absl::Span<const revision::Change> changes, const revision::Store& store);
  // A member begins to lead with this. It may learn so late, when another one has taken over since:
  // then it need only have what was committed in earlier terms.
  void OnLeading(const std::string& member, Term term, const revision::Store& store);
  // A member begins to show this to readers, as the follower of another one.
  void OnFollowing(const std::string& member, const revision::Store& store);
  void OnCompacted(const std::string& member, Revision revision);
  // Keys, versions, leases' keys: all that `store` holds is what was entered.
  void CheckSame(const std::string& member, const revision::Store& store);

  [[nodiscard]] Revision newest() const { return Revision(static_cast<int64_t>(all_.size()) + 1); }
  // A client has seen it, in an answer or on a watch: no linearizable answer to what is asked from
  // now on may be older.
  void Tell(Revision revision) { told_ = std::max(told_, revision); }
  [[nodiscard]] Revision told() const { return told_; }
  // Of all members; -1: never.
  [[nodiscard]] Revision compacted() const { return compacted_; }
  // The changes of one revision, in 2 … newest().
  [[nodiscard]] const std::vector<Version>& At(Revision revision) const {
    return all_[static_cast<size_t>(revision.value()) - 2];
  }
  // Null if it was not there then.
  [[nodiscard]] const Version* Live(std::string_view key, Revision at) const;
  // [key, end), as KeyRange says it, in order.
  [[nodiscard]] std::vector<const Version*> LiveIn(std::string_view key, std::string_view end,
                                                   Revision at) const;
  [[nodiscard]] std::vector<std::string> KeysOf(LeaseId lease, Revision at) const;
  // HashKV of what was entered, at the newest revision.
  [[nodiscard]] uint32_t Hash() const;

 private:
  void Enter(const std::string& member, Term term, std::vector<Version> changes);
  // The newest revision that was committed in a term before this one.
  [[nodiscard]] Revision NewestBefore(Term term) const;
  // Every revision that the store shows above `from`; false after the first that is wrong. Those
  // that are new are entered as of `entering`, if there is one.
  bool CheckHistory(const std::string& member, std::optional<Term> entering, Revision from,
                    const revision::Store& store);
  // What lives in the store is what lived at its revision.
  void CheckLive(const std::string& member, const revision::Store& store);
  // What is said of `revision` is what was entered.
  void Compare(const std::string& member, Revision revision, const std::vector<Version>& changes);
  // They count on from what was there.
  void CheckNumbers(const std::string& member, const std::vector<Version>& changes);

  Run* const run_;
  std::function<void(Revision)> on_entered_;
  std::function<void(Revision)> on_compacted_;
  std::deque<std::vector<Version>> all_;  // from revision 2 on; a revision never moves
  std::deque<Term> terms_;                // in which they were committed, or a later one
  std::map<std::string, std::vector<const Version*>, std::less<>> by_key_;
  Revision compacted_{-1};
  Revision told_{1};
  Term term_;  // the highest that somebody led in
  revision::Store shadow_;
};

}  // namespace jetd::conformance::sim

#endif  // JETD_CONFORMANCE_SIM_LEDGER_H_
