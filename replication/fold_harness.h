// SPDX-License-Identifier: Apache-2.0
//
// For tests: a history of transactions and, written down beside it, what was there at each
// revision.
#ifndef JETD_REPLICATION_FOLD_HARNESS_H_
#define JETD_REPLICATION_FOLD_HARNESS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/types.h"
#include "jetstream/record.h"
#include "replication/state_at.h"
#include "replication/state_fold.h"

namespace jetd::replication {

struct Moment {
  std::map<std::string, StateKey, std::less<>> keys;
  std::map<LeaseId, int64_t> leases;
};

// A server as naive as can be, whose stream this is.
class FakeHistory {
 public:
  using Kind = StreamTransaction::Kind;
  struct Change {
    std::string key;
    std::optional<std::string> value;  // none: deleted
    LeaseId lease{};
  };

  // Stamp of the next transaction.
  int64_t time_ns = 1'000;

  // Deletions of what is not there are left out, and so is a transaction of nothing else.
  void Txn(const std::vector<Change>& changes, LeaseId gone = {}) {
    Moment next = moments_.back();
    const Revision revision = newest().Next();
    StreamTransaction transaction{.revision = revision, .term = Term(1), .time_ns = time_ns};
    for (const Change& change : changes) {
      const auto found = next.keys.find(change.key);
      StreamTransaction::Op op{.seq = NextSeq(), .key = change.key, .lease = change.lease};
      if (!change.value.has_value()) {
        if (found == next.keys.end()) {
          --seq_;
          continue;
        }
        op.kind = Kind::kDelete;
        next.keys.erase(found);
      } else {
        StateKey& key = next.keys[change.key];
        if (key.version == 0) key.create_revision = revision;
        key.mod_revision = revision;
        ++key.version;
        key.value = *change.value;
        key.lease = change.lease;
        op.kind = Kind::kPut;
        op.payload = key.value;
        op.create_revision = key.create_revision;
        op.version = key.version;
      }
      transaction.ops.push_back(std::move(op));
    }
    if (gone != LeaseId{}) {
      next.leases.erase(gone);
      transaction.ops.push_back({.seq = NextSeq(), .kind = Kind::kLeaseGone, .lease = gone});
    }
    if (transaction.ops.empty()) return;
    transaction.count = static_cast<uint32_t>(transaction.ops.size());
    if (transaction.ops.front().key.empty()) {  // a lease alone
      transaction.revision = newest();
      moments_.back() = std::move(next);
    } else {
      moments_.push_back(std::move(next));
    }
    transactions.push_back(std::move(transaction));
    ++time_ns;
  }
  void Put(std::string key, std::string value, LeaseId lease = {}) {
    Txn({{.key = std::move(key), .value = std::move(value), .lease = lease}});
  }
  void Delete(std::string key) { Txn({{.key = std::move(key), .value = {}}}); }
  void Grant(LeaseId lease, int64_t ttl_s) {
    StreamTransaction transaction{.revision = newest(), .term = Term(1), .time_ns = time_ns++};
    transaction.ops.push_back({.seq = NextSeq(),
                               .kind = Kind::kLeaseGrant,
                               .payload = jetstream::EncodeLease({.ttl_s = ttl_s}),
                               .lease = lease});
    moments_.back().leases[lease] = ttl_s;
    transactions.push_back(std::move(transaction));
  }
  // With all its keys, as it expires.
  void Revoke(LeaseId lease) {
    if (!moments_.back().leases.contains(lease)) return;
    std::vector<Change> changes;
    for (const auto& [key, value] : moments_.back().keys) {
      if (value.lease == lease) changes.push_back({.key = key, .value = {}});
    }
    Txn(changes, lease);
  }

  [[nodiscard]] Revision newest() const {
    return Revision(static_cast<int64_t>(moments_.size()) - 1);
  }
  [[nodiscard]] const Moment& at(Revision revision) const {
    return moments_[static_cast<size_t>(revision.value())];
  }
  // The naive answer: all in front of the first that is stamped later.
  [[nodiscard]] Moment AtTime(int64_t at_ns) const {
    FakeHistory again;
    for (const StreamTransaction& transaction : transactions) {
      if (transaction.time_ns > at_ns) break;
      again.Repeat(transaction);
    }
    return again.moments_.back();
  }
  [[nodiscard]] TransactionReader::Result End(Revision compacted) const {
    return {.last = StreamSeq(seq_), .revision = newest(), .compacted = compacted, .term = Term(1)};
  }

  std::vector<StreamTransaction> transactions;

 private:
  StreamSeq NextSeq() { return StreamSeq(++seq_); }
  void Repeat(const StreamTransaction& transaction) {
    std::vector<Change> changes;
    LeaseId gone;
    for (const StreamTransaction::Op& op : transaction.ops) {
      if (op.kind == Kind::kLeaseGrant) return Grant(op.lease, TtlOf(op));
      if (op.kind == Kind::kLeaseGone) gone = op.lease;
      if (op.kind == Kind::kDelete) changes.push_back({.key = op.key, .value = {}});
      if (op.kind == Kind::kPut) {
        changes.push_back({.key = op.key, .value = op.payload, .lease = op.lease});
      }
    }
    Txn(changes, gone);
  }
  static int64_t TtlOf(const StreamTransaction::Op& op) {
    const auto lease = jetstream::DecodeLease(op.payload);
    return lease.ok() ? lease->ttl_s : 0;
  }

  uint64_t seq_ = 0;
  std::vector<Moment> moments_ = std::vector<Moment>(2);  // revisions 0 and 1
};

// The stream as somebody finds it later: `keep` says of each record whether it is still there, and
// may change it.
using KeepFn = std::function<bool(const StreamTransaction& transaction, StreamTransaction::Op* op)>;
inline std::vector<StreamTransaction> Rest(const std::vector<StreamTransaction>& all,
                                           const KeepFn& keep) {
  std::vector<StreamTransaction> rest;
  for (const StreamTransaction& whole : all) {
    StreamTransaction part = whole;
    part.ops.clear();
    for (StreamTransaction::Op op : whole.ops) {
      if (keep(whole, &op)) part.ops.push_back(std::move(op));
    }
    if (!part.ops.empty()) rest.push_back(std::move(part));
  }
  return rest;
}
inline std::vector<StreamTransaction> Without(const std::vector<StreamTransaction>& all,
                                              const std::vector<uint64_t>& seqs) {
  return Rest(all, [&seqs](const StreamTransaction&, StreamTransaction::Op* op) {
    for (const uint64_t seq : seqs) {
      if (op->seq == StreamSeq(seq)) return false;
    }
    return true;
  });
}

inline Points PointsOf(const std::vector<StreamTransaction>& rest,
                       const absl::StatusOr<TransactionReader::Result>& end, Revision compacted) {
  PointSurvey survey;
  for (const StreamTransaction& transaction : rest) survey.Add(transaction, compacted);
  return survey.Finish(end);
}

inline absl::StatusOr<std::vector<State>> StatesOf(
    const std::vector<StreamTransaction>& rest,
    const absl::StatusOr<TransactionReader::Result>& end, Revision compacted,
    std::vector<Point> points, int64_t now_ns = INT64_MAX, const StateOptions& options = {}) {
  StateFold fold(std::move(points), &options);
  for (const StreamTransaction& transaction : rest) fold.Add(transaction, compacted);
  return fold.Finish(end, now_ns);
}

inline Point AtRevision(Revision revision) {
  return {.kind = Point::Kind::kRevision, .revision = revision};
}
inline Point AtTime(int64_t time_ns) { return {.kind = Point::Kind::kTime, .time_ns = time_ns}; }

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_FOLD_HARNESS_H_
