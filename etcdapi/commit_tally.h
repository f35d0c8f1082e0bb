// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_COMMIT_TALLY_H_
#define JETD_ETCDAPI_COMMIT_TALLY_H_

#include <cstdint>
#include <utility>

#include "base/executor.h"
#include "revision/committer.h"

namespace jetd::etcdapi {

// CommitTally counts what is committed, and how often another leadership began that this member
// took part in, since the start; the replay does not count.
//
// Thread rules: engine thread only.
class CommitTally final : public revision::Committer::Listener {
 public:
  explicit CommitTally(const Executor* executor) : executor_(executor) {}

  void OnCommit(Revision /*revision*/, absl::Span<const revision::Change> changes) override {
    for (const revision::Change& change : changes) {
      if (change.kv->tombstone()) {
        ++deletes_;
      } else {
        ++puts_;
        put_bytes_ += change.kv->encoded_size();
      }
    }
  }
  void OnLeading(Term term) override { Serve(term); }
  void OnFollowing(Term term) override { Serve(term); }
  void OnCompacted(Revision /*revision*/) override { compacted_ms_ = executor_->WallNowMs(); }

  [[nodiscard]] uint64_t puts() const { return puts_; }
  [[nodiscard]] uint64_t deletes() const { return deletes_; }  // keys
  // As encoded: keys and values, and some bytes for the numbers of each.
  [[nodiscard]] uint64_t put_bytes() const { return put_bytes_; }
  [[nodiscard]] uint64_t leader_changes() const { return leader_changes_; }
  // Ever: as the leader, or following one.
  [[nodiscard]] bool served() const { return term_ != Term{}; }
  // When the last compaction was, in milliseconds since 1970; 0: none yet.
  [[nodiscard]] int64_t compacted_ms() const { return compacted_ms_; }

 private:
  void Serve(Term term) {
    if (std::exchange(term_, term) != term) ++leader_changes_;
  }

  const Executor* const executor_;
  uint64_t puts_ = 0, deletes_ = 0, put_bytes_ = 0, leader_changes_ = 0;
  Term term_;
  int64_t compacted_ms_ = 0;
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_COMMIT_TALLY_H_
