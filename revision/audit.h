// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_AUDIT_H_
#define JETD_REVISION_AUDIT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/executor.h"
#include "base/types.h"
#include "jetstream/log.h"
#include "revision/store.h"
#include "revision/system_records.h"

namespace jetd::revision {

// Audit finds out whether the stream still holds every record that the store was made of: somebody
// may have purged it, deleted messages, or set limits that drop them. A key whose record is gone is
// served from memory and lost at the next start, so it is to be known now.
//
//   note where the store's versions lie  ->  read the stream's headers  ->  of what was not found,
//                                            what the store still holds is missing
//
// (A compaction meanwhile drops versions and has their records removed.) In steps, between which
// other work runs; about 8 bytes of memory a version, and as much work for the server as a start.
//
// Engine thread only; one run. Nothing is called after its end.
class Audit {
 public:
  struct Result {
    uint64_t records = 0;            // that were looked for
    uint64_t missing = 0;            // of these
    std::vector<std::string> named;  // the first kNamed: "key /a/b, revision 7, sequence 9"
  };
  static constexpr size_t kNamed = 10;
  // The error is the log's: nothing is known.
  using DoneFn = std::function<void(absl::StatusOr<Result>)>;

  // Of records up to `upto`, which are committed; this member has led since `led`. `system` is
  // looked at twice and may change in between; all outlive this.
  Audit(Executor* executor, jetstream::Log* log, const Store* store, const SystemRecords* system,
        StreamSeq led, StreamSeq upto);
  ~Audit();
  Audit(const Audit&) = delete;
  Audit& operator=(const Audit&) = delete;

  void Run(DoneFn done);

 private:
  static constexpr size_t kStepVersions = 2'000;

  // Calls `each` for every version in steps, then `next`.
  void Visit(std::function<void(const KvBlock&)> each, std::function<void()> next);
  void Note(StreamSeq seq);
  void ReadStream();
  void OnFound(StreamSeq seq);
  void OnRead(const absl::Status& status);
  void NameMissing();
  void Name(StreamSeq seq, const std::string& what);

  Executor* const executor_;
  jetstream::Log* const log_;
  const Store* const store_;
  const SystemRecords* const system_;
  const StreamSeq led_;
  const StreamSeq upto_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

  DoneFn done_;
  TimerId timer_ = 0;
  std::string next_key_;
  std::vector<StreamSeq> expected_;  // ascending, when the stream is read
  size_t at_ = 0;                    // of these, the first that was not come by yet
  std::vector<StreamSeq> absent_;    // ascending
  Result result_;
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_AUDIT_H_
