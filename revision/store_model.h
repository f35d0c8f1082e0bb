// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_STORE_MODEL_H_
#define JETD_REVISION_STORE_MODEL_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/types.h"
#include "revision/kv.h"
#include "revision/request.h"
#include "revision/store.h"

namespace jetd::revision {

// One version, written out.
struct ModelVersion {
  std::string key;
  std::string value;
  ModRevision mod;
  Revision create_revision;
  int64_t version = 0;
  LeaseId lease;
  StreamSeq seq;
  bool tombstone = false;

  friend bool operator==(const ModelVersion&, const ModelVersion&) = default;
};
[[nodiscard]] ModelVersion VersionOf(const KvBlock& kv);
[[nodiscard]] std::string ToString(const ModelVersion& v);

// StoreModel is what the Store should do, as slowly and plainly as can be, for tests: a list of all
// versions kept, searched from end to end; copies of the whole for what is pending. Compaction and
// HashKV follow etcd's own wording (generations of a key; what to keep at a revision) and share
// nothing with the Store's.
class StoreModel {
 public:
  [[nodiscard]] Revision newest() const { return now_.newest; }
  [[nodiscard]] Revision committed() const { return committed_.newest; }
  [[nodiscard]] Revision compacted() const { return compacted_; }
  [[nodiscard]] size_t pending() const { return pending_.size(); }
  // All that is kept, in order of mod; what is pending included.
  [[nodiscard]] const std::vector<ModelVersion>& versions() const { return now_.versions; }
  [[nodiscard]] const std::map<LeaseId, int64_t>& leases() const { return now_.leases; }

  void Begin();
  void Put(std::string_view key, std::string_view value, LeaseId lease, StreamSeq seq);
  int64_t Delete(const KeyRange& keys, StreamSeq first_seq);
  void GrantLease(LeaseId id, int64_t ttl_s);
  void RevokeLease(LeaseId id);
  bool End();
  void Abort();
  void CommitOldest();
  void Rollback();

  struct RangeAnswer {
    Revision revision;
    std::vector<ModelVersion> kvs;
    int64_t count = 0;
    bool more = false;
  };
  [[nodiscard]] absl::StatusOr<RangeAnswer> Range(const RangeOp& op, Store::View view) const;
  [[nodiscard]] bool EvaluateCompare(const Compare& compare, Store::View view) const;

  struct Event {
    ModelVersion kv;
    std::optional<ModelVersion> prev;
    friend bool operator==(const Event&, const Event&) = default;
  };
  // All events of committed revisions >= from. REQUIRES: from >= compacted().
  [[nodiscard]] std::vector<Event> History(Revision from) const;

  [[nodiscard]] std::vector<std::string> LeaseKeys(LeaseId id, Store::View view) const;
  // REQUIRES: compacted() < revision <= committed(). Returns what it dropped.
  std::vector<ModelVersion> Compact(Revision revision);
  // REQUIRES: compacted() <= revision <= committed().
  [[nodiscard]] uint32_t HashKv(Revision revision) const;

 private:
  struct State {
    Revision newest{1};
    std::vector<ModelVersion> versions;
    std::map<LeaseId, int64_t> leases;
  };

  [[nodiscard]] const State& StateOf(Store::View view) const;
  [[nodiscard]] Revision Current(Store::View view) const;
  void Append(ModelVersion v);

  State committed_;
  std::vector<State> pending_;
  State now_;
  Revision compacted_{-1};
  bool open_ = false;
  uint32_t sub_ = 0;
  bool touched_ = false;
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_STORE_MODEL_H_
