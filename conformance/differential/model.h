// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_DIFFERENTIAL_MODEL_H_
#define JETD_CONFORMANCE_DIFFERENTIAL_MODEL_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "conformance/differential/step.h"

namespace jetd::conformance::differential {

// Whether `key` is in the range that etcd writes as (start, end): end empty is the key alone, end
// "\0" is everything from start on.
[[nodiscard]] bool InRange(const std::string& key, const std::string& start,
                           const std::string& end);

// Model is what the generator knows of the store, learnt from requests and the answers that both
// servers agreed on. It is no judge of answers: it exists so that most requests make sense (a
// compare that holds, a key that is there), and so that the suite knows how many events each watch
// has to deliver.
//
// One thread.
class Model {
 public:
  struct Key {
    std::string value;
    int64_t create = 0, mod = 0, version = 0, lease = 0;
  };
  struct Lease {
    int64_t ttl = 0;
    bool generated = false;  // its id was chosen by each server for itself
  };
  struct Watch {
    std::string key, end;
    int64_t start = 0;  // 0: from when it was made
    bool no_put = false, no_delete = false, progress_notify = false;
    // Of this watch id since the stream began, this watch and its predecessors.
    int64_t expected_events = 0;
    int64_t expected_compacted = 0;  // cancels because of compaction
    bool live = true;                // gets events
    bool known = true;               // its id is taken, as far as etcd is concerned
    // It started in the past and nothing had happened there: no event tells when the server has
    // looked, and a compaction before that cancels it.
    bool unsynced = false;
  };
  struct Stream {
    std::map<int64_t, Watch> watches;
  };

  // Takes in what happened. `answer` is OK and has the message that belongs to the call.
  void Apply(const Step& step, const Answer& answer);

  // Every watch has caught up on both sides.
  void AllSynced();

  [[nodiscard]] const std::map<std::string, Key>& keys() const { return keys_; }
  [[nodiscard]] const std::map<int64_t, Lease>& leases() const { return leases_; }
  [[nodiscard]] const std::map<int, Stream>& streams() const { return streams_; }
  [[nodiscard]] int64_t revision() const { return revision_; }
  [[nodiscard]] int64_t compacted() const { return compacted_; }  // -1: never
  // Revisions that were compacted to, in order.
  [[nodiscard]] const std::vector<int64_t>& compactions() const { return compactions_; }
  // Count of what changed the store: revisions, leases, compactions.
  [[nodiscard]] int64_t changes() const { return changes_; }

 private:
  struct Change {
    int64_t revision;
    std::string key;
    bool is_delete;
  };

  void ApplyPut(const pb::PutRequest& put, int64_t revision);
  void ApplyDelete(const std::string& key, const std::string& end, int64_t revision);
  void ApplyTxn(const pb::TxnRequest& txn, const pb::TxnResponse& answer, int64_t revision);
  void ApplyWatch(const WatchControl& control, const pb::WatchResponse& answer);
  void ApplyCompaction(int64_t revision);
  void DropLease(int64_t lease);
  void Record(Change change);
  void Advance(int64_t revision);

  std::map<std::string, Key> keys_;
  std::map<int64_t, Lease> leases_;
  std::map<int, Stream> streams_;
  std::vector<Change> history_;  // since the last compaction
  std::vector<int64_t> compactions_;
  int64_t revision_ = 1;
  int64_t compacted_ = -1;
  int64_t changes_ = 0;
};

}  // namespace jetd::conformance::differential

#endif  // JETD_CONFORMANCE_DIFFERENTIAL_MODEL_H_
