// SPDX-License-Identifier: Apache-2.0
#include "revision/evaluate.h"

#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"

namespace jetd::revision {
namespace {

using View = Store::View;

// Which branch each transaction takes, in the order in which they are met: the outer one first,
// then the nested ones of its branch, each followed by its own.
//   txn(true){ put, txn(false){…}, txn(true){ txn(true){…} } }   ->   true, false, true, true
using Path = std::vector<bool>;

const std::vector<Op>& Branch(const TxnOp& txn, bool taken) {
  return taken ? txn.success : txn.failure;
}

void FindPath(const TxnOp& txn, const Store& store, View view, Path* path) {
  bool holds = true;
  for (const Compare& compare : txn.compares) {
    if (!store.EvaluateCompare(compare, view)) {
      holds = false;
      break;
    }
  }
  path->push_back(holds);
  for (const Op& op : Branch(txn, holds)) {
    if (const auto* nested = std::get_if<TxnOp>(&op.v)) FindPath(*nested, store, view, path);
  }
}

// Calls `check` for each operation on the path; stops at the first error.
template <typename Check>
absl::Status ForEachOp(const TxnOp& txn, const Path& path, size_t* at, const Check& check) {
  for (const Op& op : Branch(txn, path[(*at)++])) {
    if (const auto* nested = std::get_if<TxnOp>(&op.v)) {
      if (auto status = ForEachOp(*nested, path, at, check); !status.ok()) return status;
    } else if (auto status = check(op); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSize(const PutOp& put, const RecordLimits& limits) {
  const size_t subject = limits.codec->EncodedSize(put.key);
  if (subject > limits.max_subject_bytes) {
    return MakeError(Errc::kKeyTooLong, "key is too long: its NATS subject would take " +
                                            std::to_string(subject) + " bytes of at most " +
                                            std::to_string(limits.max_subject_bytes));
  }
  // Header lines and the block that carries them fit into 1 KiB.
  const size_t payload = put.value.size() + 1024;
  if (payload > limits.max_payload_bytes) {
    return MakeError(Errc::kRecordTooLarge,
                     "value is too large for the NATS server's max_payload " +
                         std::to_string(limits.max_payload_bytes));
  }
  return absl::OkStatus();
}

absl::Status CheckLease(LeaseId lease, const Store& store) {
  if (lease == LeaseId{} || store.FindLease(lease).has_value()) return absl::OkStatus();
  return MakeError(Errc::kLeaseNotFound);
}

absl::Status CheckPrevious(const PutOp& put, const Store& store) {
  if (!put.ignore_value && !put.ignore_lease) return absl::OkStatus();
  if (store.Get(put.key, View::kNewest)) return absl::OkStatus();
  return MakeError(Errc::kKeyNotFound);
}

// etcd asks for the key first inside a transaction, for the lease first in a plain put.
absl::Status CheckTxnPut(const PutOp& put, const RecordLimits& limits, const Store& store) {
  if (auto status = CheckPrevious(put, store); !status.ok()) return status;
  if (auto status = CheckLease(put.lease, store); !status.ok()) return status;
  return CheckSize(put, limits);
}

absl::Status CheckPlainPut(const PutOp& put, const RecordLimits& limits, const Store& store) {
  if (auto status = CheckLease(put.lease, store); !status.ok()) return status;
  if (auto status = CheckPrevious(put, store); !status.ok()) return status;
  return CheckSize(put, limits);
}

absl::Status CheckTxnRange(const RangeOp& range, const Store& store, View view) {
  if (range.revision == Revision{}) return absl::OkStatus();
  const Revision newest = view == View::kNewest ? store.newest() : store.committed();
  if (range.revision > newest) return MakeError(Errc::kFutureRevision);
  if (range.revision < store.compacted()) return MakeError(Errc::kCompacted);
  return absl::OkStatus();
}

// Runs operations; `store_` may be written only if it was given as writable.
class Runner {
 public:
  Runner(const Store& store, View view) : read_(store), view_(view) {}
  Runner(Store* store, StreamSeq first_seq)
      : read_(*store), write_(store), first_seq_(first_seq), view_(View::kNewest) {}

  absl::StatusOr<OpResult> Run(const Op& op) {
    return std::visit([this](const auto& o) { return RunOne(o); }, op.v);
  }
  void SetPath(Path path) { path_ = std::move(path); }

 private:
  absl::StatusOr<OpResult> RunOne(const RangeOp& op) {
    auto result = read_.Range(op, view_);
    if (!result.ok()) return result.status();
    return OpResult{*std::move(result)};
  }

  absl::StatusOr<OpResult> RunOne(const PutOp& op) {
    KvRef prev;
    if (op.prev_kv || op.ignore_value || op.ignore_lease) prev = read_.Get(op.key, view_);
    const std::string_view value = op.ignore_value && prev ? prev->value() : op.value;
    const LeaseId lease = op.ignore_lease && prev ? prev->lease() : op.lease;
    PutResult result;
    result.revision = write_->txn_revision();
    write_->Put(op.key, value, lease, NextSeq());
    if (op.prev_kv) result.prev = std::move(prev);
    return OpResult{std::move(result)};
  }

  absl::StatusOr<OpResult> RunOne(const DeleteOp& op) {
    DeleteResult result;
    const size_t before = write_->txn_changes().size();
    result.deleted = write_->Delete(op.keys, NextSeq());
    const auto& changes = write_->txn_changes();
    result.revision = changes.empty() ? write_->txn_revision().Prev() : write_->txn_revision();
    if (op.prev_kv) {
      result.prev_kvs.reserve(changes.size() - before);
      for (size_t i = before; i < changes.size(); ++i) {
        result.prev_kvs.push_back(read_.Load(changes[i].prev));
      }
    }
    return OpResult{std::move(result)};
  }

  absl::StatusOr<OpResult> RunOne(const TxnOp& op) {
    TxnResult result;
    result.succeeded = path_[at_++];
    const auto& branch = Branch(op, result.succeeded);
    result.responses.reserve(branch.size());
    for (const Op& nested : branch) {
      auto one = Run(nested);
      if (!one.ok()) return one.status();
      result.responses.push_back(*std::move(one));
    }
    // Only the outermost header has a revision; the caller sets it when all is done.
    return OpResult{std::move(result)};
  }

  [[nodiscard]] StreamSeq NextSeq() const {
    return StreamSeq(first_seq_.value() + write_->txn_changes().size());
  }

  const Store& read_;
  Store* const write_ = nullptr;
  const StreamSeq first_seq_;
  const View view_;
  Path path_;
  size_t at_ = 0;
};

}  // namespace

absl::StatusOr<OpResult> EvaluateWrite(const Op& op, const RecordLimits& limits,
                                       StreamSeq first_seq, Store* store) {
  Runner runner(store, first_seq);
  if (const auto* put = std::get_if<PutOp>(&op.v)) {
    if (auto status = CheckPlainPut(*put, limits, *store); !status.ok()) return status;
    return runner.Run(op);
  }
  const auto* txn = std::get_if<TxnOp>(&op.v);
  if (txn == nullptr) return runner.Run(op);

  Path path;
  FindPath(*txn, *store, View::kNewest, &path);
  size_t at = 0;
  auto status = ForEachOp(*txn, path, &at, [&](const Op& o) {
    const auto* put = std::get_if<PutOp>(&o.v);
    return put == nullptr ? absl::OkStatus() : CheckTxnPut(*put, limits, *store);
  });
  if (!status.ok()) return status;
  at = 0;
  status = ForEachOp(*txn, path, &at, [&](const Op& o) {
    const auto* range = std::get_if<RangeOp>(&o.v);
    return range == nullptr ? absl::OkStatus() : CheckTxnRange(*range, *store, View::kNewest);
  });
  if (!status.ok()) return status;
  runner.SetPath(std::move(path));
  auto result = runner.Run(op);
  if (!result.ok()) return result.status();
  std::get<TxnResult>(result->v).revision =
      store->txn_changed() ? store->txn_revision() : store->txn_revision().Prev();
  return result;
}

absl::StatusOr<OpResult> EvaluateRead(const Op& op, const Store& store) {
  Runner runner(store, View::kCommitted);
  const auto* txn = std::get_if<TxnOp>(&op.v);
  if (txn == nullptr) return runner.Run(op);
  Path path;
  FindPath(*txn, store, View::kCommitted, &path);
  size_t at = 0;
  auto status = ForEachOp(*txn, path, &at, [&](const Op& o) {
    const auto* range = std::get_if<RangeOp>(&o.v);
    return range == nullptr ? absl::OkStatus() : CheckTxnRange(*range, store, View::kCommitted);
  });
  if (!status.ok()) return status;
  runner.SetPath(std::move(path));
  auto result = runner.Run(op);
  if (!result.ok()) return result.status();
  std::get<TxnResult>(result->v).revision = store.committed();
  return result;
}

}  // namespace jetd::revision
