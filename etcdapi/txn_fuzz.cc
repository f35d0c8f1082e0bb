// SPDX-License-Identifier: Apache-2.0
// The input is a history: requests as they come from the wire, each a letter, a byte that says how
// long it is, and its bytes. What etcd's checks let pass is evaluated on the store and, as plainly
// as can be, on StoreModel: both say the same, and hold the same.
//   P put   R range   D delete range   T transaction
//   G grants and K revokes a lease whose id is the byte, C compacts that many revisions back
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "base/fuzz_input.h"
#include "base/limits.h"
#include "base/strings.h"
#include "etcdapi/request_check.h"
#include "etcdapi/request_decoder.h"
#include "revision/evaluate.h"
#include "revision/invariants.h"
#include "revision/store_model.h"

namespace jetd::etcdapi {
namespace {

using revision::Compare;
using revision::DeleteOp;
using revision::KvRef;
using revision::ModelVersion;
using revision::Op;
using revision::OpResult;
using revision::PutOp;
using revision::RangeOp;
using revision::Store;
using revision::StoreModel;
using revision::TxnOp;

constexpr auto kNewest = Store::View::kNewest;
constexpr size_t kMaxRequests = 24;
constexpr RequestLimits kLimits{.max_request_bytes = limits::kMaxRequestBytes,
                                .max_txn_ops = limits::kMaxTxnOps};

// --- answers as text ----------------------------------------------------------------------------

std::string TextOf(const KvRef& kv) { return kv ? ToString(VersionOf(*kv)) : "none"; }

std::string TextOf(const OpResult& result);

std::string TextOf(const revision::RangeResult& range) {
  std::string text = Cat("range@", range.revision.value(), " ", range.count, range.more ? "+" : "");
  for (const KvRef& kv : range.kvs) CatTo(text, "\n  ", TextOf(kv));
  return text;
}
std::string TextOf(const revision::PutResult& put) {
  return Cat("put@", put.revision.value(), put.prev ? " prev " : "",
             put.prev ? TextOf(put.prev) : "");
}
std::string TextOf(const revision::DeleteResult& gone) {
  std::string text = Cat("delete@", gone.revision.value(), " ", gone.deleted);
  for (const KvRef& kv : gone.prev_kvs) CatTo(text, "\n  prev ", TextOf(kv));
  return text;
}
std::string TextOf(const revision::TxnResult& txn) {
  std::string text = Cat("txn ", txn.succeeded);
  for (const OpResult& one : txn.responses) CatTo(text, "\n", TextOf(one));
  return text;
}
std::string TextOf(const OpResult& result) {
  return std::visit([](const auto& one) { return TextOf(one); }, result.v);
}

// --- the same from the model --------------------------------------------------------------------

// One request, as etcd's documentation has it: compares first, all of them; then what would be
// refused; then the operations in order.
class ModelRun {
 public:
  ModelRun(StoreModel* model, StreamSeq first_seq) : model_(model), first_seq_(first_seq) {}

  // "" if it is refused, with `refused` saying why.
  std::string Run(const Op& op) {
    Choose(op);
    Refuse(op);
    at_ = 0;
    return refused == Errc::kNone ? Do(op) : std::string();
  }
  Errc refused = Errc::kNone;

 private:
  void Choose(const Op& op) {
    const auto* txn = std::get_if<TxnOp>(&op.v);
    if (txn == nullptr) return;
    bool holds = true;
    for (const Compare& compare : txn->compares) {
      holds = holds && model_->EvaluateCompare(compare, kNewest);
    }
    taken_.push_back(holds);
    for (const Op& nested : holds ? txn->success : txn->failure) Choose(nested);
  }
  // Puts before ranges, as etcd looks.
  void Refuse(const Op& op) {
    if (std::holds_alternative<TxnOp>(op.v)) {
      Visit(op, [this](const Op& one) { RefusePut(one, /*in_txn=*/true); });
      Visit(op, [this](const Op& one) { RefuseRange(one); });
    } else {
      RefusePut(op, /*in_txn=*/false);
    }
  }
  template <typename Fn>
  void Visit(const Op& op, const Fn& fn) {
    at_ = 0;
    VisitMore(op, fn);
  }
  template <typename Fn>
  void VisitMore(const Op& op, const Fn& fn) {
    const auto* txn = std::get_if<TxnOp>(&op.v);
    if (txn == nullptr) return fn(op);
    for (const Op& nested : taken_[at_++] ? txn->success : txn->failure) VisitMore(nested, fn);
  }
  void RefusePut(const Op& op, bool in_txn) {
    const auto* put = std::get_if<PutOp>(&op.v);
    if (put == nullptr || refused != Errc::kNone) return;
    const bool no_key = (put->ignore_value || put->ignore_lease) && Before(put->key).empty();
    const bool no_lease = put->lease != LeaseId{} && !model_->leases().contains(put->lease);
    if (no_key && no_lease) {
      refused = in_txn ? Errc::kKeyNotFound : Errc::kLeaseNotFound;
    } else if (no_key || no_lease) {
      refused = no_key ? Errc::kKeyNotFound : Errc::kLeaseNotFound;
    }
  }
  void RefuseRange(const Op& op) {
    const auto* range = std::get_if<RangeOp>(&op.v);
    if (range == nullptr || refused != Errc::kNone || range->revision == Revision{}) return;
    if (range->revision > model_->newest()) refused = Errc::kFutureRevision;
    if (range->revision < model_->compacted()) refused = Errc::kCompacted;
  }

  std::string Do(const Op& op) {
    if (const auto* range = std::get_if<RangeOp>(&op.v)) return DoRange(*range);
    if (const auto* put = std::get_if<PutOp>(&op.v)) return DoPut(*put);
    if (const auto* gone = std::get_if<DeleteOp>(&op.v)) return DoDelete(*gone);
    const auto& txn = std::get<TxnOp>(op.v);
    const bool taken = taken_[at_++];
    std::string text = Cat("txn ", taken);
    for (const Op& nested : taken ? txn.success : txn.failure) {
      const std::string one = Do(nested);
      if (refused != Errc::kNone) return {};
      CatTo(text, "\n", one);
    }
    return text;
  }
  std::string DoRange(const RangeOp& op) {
    const auto answer = model_->Range(op, kNewest);
    if (!answer.ok()) {
      refused = GetErrc(answer.status());
      return {};
    }
    std::string text =
        Cat("range@", answer->revision.value(), " ", answer->count, answer->more ? "+" : "");
    for (const ModelVersion& kv : answer->kvs) CatTo(text, "\n  ", ToString(kv));
    return text;
  }
  std::string DoPut(const PutOp& op) {
    const std::vector<ModelVersion> before = Before(op.key);
    std::string text = Cat("put@", model_->newest().value() + 1);
    if (op.prev_kv && !before.empty()) CatTo(text, " prev ", ToString(before[0]));
    model_->Put(op.key, op.ignore_value ? std::string_view(before[0].value) : op.value,
                op.ignore_lease ? before[0].lease : op.lease, Next(1));
    return text;
  }
  std::string DoDelete(const DeleteOp& op) {
    std::vector<ModelVersion> before = model_->Range({.keys = op.keys}, kNewest)->kvs;
    const int64_t deleted = model_->Delete(op.keys, Next(before.size()));
    std::string text =
        Cat("delete@", model_->newest().value() + (changes_ > 0 ? 1 : 0), " ", deleted);
    if (!op.prev_kv) return text;
    for (const ModelVersion& kv : before) CatTo(text, "\n  prev ", ToString(kv));
    return text;
  }
  [[nodiscard]] std::vector<ModelVersion> Before(std::string_view key) const {
    return model_->Range({.keys = {key, {}}}, kNewest)->kvs;
  }
  StreamSeq Next(uint64_t count) {
    const StreamSeq seq(first_seq_.value() + changes_);
    changes_ += count;
    return seq;
  }

  StoreModel* const model_;
  const StreamSeq first_seq_;
  uint64_t changes_ = 0;
  std::vector<bool> taken_;
  size_t at_ = 0;
};

// --- both ---------------------------------------------------------------------------------------

class Pair {
 public:
  void Evaluate(const Op& op) {
    const revision::RecordLimits record_limits{.codec = &codec_,
                                               .max_subject_bytes = limits::kMaxSubjectBytes,
                                               .max_payload_bytes = 8UL << 20};
    store_.Begin();
    model_.Begin();
    const auto result = EvaluateWrite(op, record_limits, seq_, &store_);
    ModelRun run(&model_, seq_);
    const std::string expected = run.Run(op);
    if (!result.ok()) {
      JETD_CHECK(GetErrc(result.status()) == run.refused)
          << result.status() << ", the model " << static_cast<int>(run.refused);
      store_.Abort();
      model_.Abort();
      return;
    }
    JETD_CHECK(run.refused == Errc::kNone) << "refused: " << static_cast<int>(run.refused);
    JETD_CHECK(TextOf(*result) == expected) << TextOf(*result) << "\nexpected\n" << expected;
    End();
  }
  void Grant(LeaseId id) {
    if (id == LeaseId{} || model_.leases().contains(id)) return;
    Begin();
    store_.GrantLease(id, 60);
    model_.GrantLease(id, 60);
    End();
  }
  void Revoke(LeaseId id) {
    if (!model_.leases().contains(id)) return;
    Begin();
    for (const std::string& key : model_.LeaseKeys(id, kNewest)) {
      store_.Delete({key, {}}, seq_);
      model_.Delete({key, {}}, seq_);
    }
    store_.RevokeLease(id);
    model_.RevokeLease(id);
    End();
  }
  void Compact(int64_t back) {
    const Revision at(model_.committed().value() - back);
    if (at <= std::max(Revision(0), model_.compacted())) return;
    store_.Compact(at);
    model_.Compact(at);
  }
  void Compare() const {
    const RangeOp all{.keys = {std::string_view("\0", 1), std::string_view("\0", 1)}};
    const auto have = store_.Range(all, Store::View::kCommitted);
    const auto want = model_.Range(all, Store::View::kCommitted);
    JETD_CHECK(have.ok() && want.ok()) << "a range of all";
    std::string expected =
        Cat("range@", want->revision.value(), " ", want->count, want->more ? "+" : "");
    for (const ModelVersion& kv : want->kvs) CatTo(expected, "\n  ", ToString(kv));
    JETD_CHECK(TextOf(*have) == expected) << TextOf(*have) << "\nexpected\n" << expected;
    const auto hash = store_.HashKv(Revision());
    JETD_CHECK(hash.ok() && hash->hash == model_.HashKv(model_.committed())) << "HashKV";
    const absl::Status invariants = CheckInvariants(store_);
    JETD_CHECK(invariants.ok()) << invariants;
  }

 private:
  void Begin() {
    store_.Begin();
    model_.Begin();
  }
  void End() {
    const bool changed = store_.End();
    JETD_CHECK(changed == model_.End()) << "changed: " << changed;
    if (!changed) return;
    store_.CommitOldest();
    model_.CommitOldest();
    seq_ = StreamSeq(seq_.value() + 1'000);
  }

  const jetstream::SubjectCodec codec_{"B"};
  Store store_;
  StoreModel model_;
  StreamSeq seq_{1};
};

template <typename Request>
void TryRequest(std::string_view bytes, Pair* pair) {
  Request request;
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  if constexpr (std::is_same_v<Request, etcdserverpb::TxnRequest>) {
    if (Check(request, kLimits).has_value()) return;
  } else {
    if (Check(request).has_value()) return;
  }
  pair->Evaluate({ToOp(request)});
}

void Try(FuzzInput input) {
  Pair pair;
  for (size_t n = 0; n < kMaxRequests && !input.empty(); ++n) {
    switch (input.Byte()) {
      case 'P':
        TryRequest<etcdserverpb::PutRequest>(input.Chunk(), &pair);
        break;
      case 'R':
        TryRequest<etcdserverpb::RangeRequest>(input.Chunk(), &pair);
        break;
      case 'D':
        TryRequest<etcdserverpb::DeleteRangeRequest>(input.Chunk(), &pair);
        break;
      case 'T':
        TryRequest<etcdserverpb::TxnRequest>(input.Chunk(), &pair);
        break;
      case 'G':
        pair.Grant(LeaseId(input.Byte()));
        break;
      case 'K':
        pair.Revoke(LeaseId(input.Byte()));
        break;
      case 'C':
        pair.Compact(input.Byte());
        break;
      default:
        break;
    }
  }
  pair.Compare();
}

}  // namespace
}  // namespace jetd::etcdapi

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  jetd::etcdapi::Try(jetd::FuzzInput(data, size_bytes));
  return 0;
}
