// SPDX-License-Identifier: Apache-2.0
#include "conformance/differential/bad_input.h"

#include <algorithm>
#include <string>
#include <utility>

namespace jetd::conformance::differential {
namespace {

using Steps = std::vector<Step>;
using Maker = Steps (*)(OpMaker& ops);

constexpr int kMaxTxnOps = 128;
constexpr int64_t kMebi = 1 << 20;
constexpr int64_t kMaxTtl = 9'000'000'000;
// A lease that is never granted.
constexpr int64_t kNoSuchLease = 999'999'999;

Steps One(Call call) {
  Steps steps(1);
  steps[0].call = std::move(call);
  return steps;
}

Steps Create(pb::WatchCreateRequest request, int stream) {
  WatchControl control{.stream = stream, .request = {}};
  *control.request.mutable_create_request() = std::move(request);
  return One(std::move(control));
}

pb::PutRequest Put(const std::string& key, const std::string& value) {
  pb::PutRequest put;
  put.set_key(key);
  put.set_value(value);
  return put;
}

// An operation without a key, one of three kinds.
pb::RequestOp KeylessOp(OpMaker& ops) {
  pb::RequestOp op;
  switch (ops.random().Between(0, 2)) {
    case 0:
      op.mutable_request_put();
      break;
    case 1:
      op.mutable_request_range();
      break;
    default:
      op.mutable_request_delete_range();
      break;
  }
  return op;
}

Steps EmptyKey(OpMaker& ops) {
  pb::TxnRequest txn;
  switch (ops.random().Between(0, 5)) {
    case 0:
      return One(pb::RangeRequest());
    case 1:
      return One(pb::PutRequest());
    case 2:
      return One(pb::DeleteRangeRequest());
    case 3:
      txn.add_compare();
      return One(txn);
    case 4:
      *txn.add_failure() = KeylessOp(ops);
      return One(txn);
    default:
      *txn.add_success()->mutable_request_txn()->add_success() = KeylessOp(ops);
      return One(txn);
  }
}

Steps IgnoreButGiven(OpMaker& ops) {
  pb::PutRequest put = Put(ops.AnyKey(), "v");
  if (ops.random().Chance(5000)) {
    put.set_ignore_value(true);
  } else {
    put.set_ignore_lease(true);
    put.set_lease(kNoSuchLease);
  }
  if (ops.random().Chance(5000)) return One(put);
  pb::TxnRequest txn;
  *txn.add_success()->mutable_request_put() = put;
  return One(txn);
}

Steps IgnoreOnAbsentKey(OpMaker& ops) {
  pb::PutRequest put = Put(ops.AbsentKey(), "");
  if (ops.random().Chance(5000)) {
    put.set_ignore_value(true);
  } else {
    put.set_ignore_lease(true);
  }
  if (ops.random().Chance(5000)) return One(put);
  pb::TxnRequest txn;
  *txn.add_success()->mutable_request_put() = put;
  return One(txn);
}

Steps UnknownLease(OpMaker& ops) {
  pb::PutRequest put = Put(ops.AnyKey(), "v");
  put.set_lease(kNoSuchLease);
  pb::TxnRequest txn;
  *txn.add_success()->mutable_request_put() = put;
  pb::LeaseRevokeRequest revoke;
  revoke.set_id(kNoSuchLease);
  pb::LeaseTimeToLiveRequest left;
  left.set_id(kNoSuchLease);
  left.set_keys(true);
  pb::LeaseKeepAliveRequest keep;
  keep.set_id(kNoSuchLease);
  switch (ops.random().Between(0, 4)) {
    case 0:
      return One(put);
    case 1:
      return One(txn);
    case 2:
      return One(revoke);
    case 3:
      return One(left);
    default:
      return One(keep);
  }
}

Steps OddLease(OpMaker& ops) {
  pb::LeaseGrantRequest grant;
  grant.set_id(kNoSuchLease - 1 - ops.random().Between(0, 1000));
  pb::LeaseRevokeRequest revoke;
  switch (ops.random().Between(0, 4)) {
    case 0:
      grant.set_ttl(kMaxTtl + 1);
      return One(grant);
    case 1:
      if (!ops.model().leases().empty())
        grant.set_id(ops.random().Pick(ops.model().leases()).first);
      grant.set_ttl(1000);
      return One(grant);
    case 2:  // raised to the minimum
      grant.set_ttl(ops.random().Between(-5, 1));
      break;
    case 3:
      grant.set_ttl(kMaxTtl);
      break;
    default:
      grant.set_id(-grant.id());
      grant.set_ttl(1000);
      break;
  }
  if (ops.model().leases().contains(grant.id())) return One(pb::LeaseLeasesRequest());
  Steps steps = One(grant);
  revoke.set_id(grant.id());
  steps.push_back({.call = revoke});
  return steps;
}

Steps TooManyOps(OpMaker& ops) {
  pb::TxnRequest txn;
  const int64_t kind = ops.random().Between(0, 3);
  const int count = kMaxTxnOps + (ops.random().Chance(3000) ? 0 : 1);
  if (kind == 3) {
    // A level's own operations leave that many fewer for the levels below it.
    pb::TxnRequest& inner = *txn.add_success()->mutable_request_txn();
    for (int i = 0; i < count - 1; ++i) {
      *inner.add_success()->mutable_request_range() = ops.RangeInTxn();
    }
    return One(txn);
  }
  for (int i = 0; i < count; ++i) {
    pb::RequestOp op;
    op.mutable_request_range()->set_key(ops.AnyKey());
    if (kind == 0) {
      txn.add_compare()->set_key("a");
    } else {
      *(kind == 1 ? txn.add_success() : txn.add_failure()) = op;
    }
  }
  return One(txn);
}

Steps DuplicateKeys(OpMaker& ops) {
  pb::TxnRequest txn;
  const std::string key = ops.AnyKey();
  const auto add_put = [&](pb::RequestOp* op) { *op->mutable_request_put() = Put(key, "v"); };
  switch (ops.random().Between(0, 4)) {
    case 0:
      add_put(txn.add_success());
      add_put(txn.add_success());
      break;
    case 1:
      add_put(txn.add_failure());
      txn.add_failure()->mutable_request_delete_range()->set_key(key);
      break;
    case 2: {
      auto* remove = txn.add_success()->mutable_request_delete_range();
      remove->set_key(std::string(1, '\0'));
      remove->set_range_end(std::string(1, '\0'));
      add_put(txn.add_success()->mutable_request_txn()->add_failure());
      break;
    }
    case 3:
      add_put(txn.add_success()->mutable_request_txn()->add_success());
      add_put(txn.add_success()->mutable_request_txn()->add_success());
      break;
    default: {
      // Both branches of one transaction may write the same key.
      auto* inner = txn.add_success()->mutable_request_txn();
      add_put(inner->add_success());
      add_put(inner->add_failure());
      break;
    }
  }
  return One(txn);
}

Steps EmptyOp(OpMaker& ops) {
  pb::TxnRequest txn;
  if (ops.random().Chance(3000)) return One(txn);  // a transaction of nothing is one
  txn.add_success();
  return One(txn);
}

// Below the compacted revision, other than 0 and than a revision compacted to, whose hash etcd
// still knows.
int64_t CompactedRevision(OpMaker& ops) {
  const auto& compactions = ops.model().compactions();
  for (int64_t revision = ops.model().compacted() - 1; revision > 0; --revision) {
    if (std::find(compactions.begin(), compactions.end(), revision) == compactions.end()) {
      return revision;
    }
  }
  return ops.model().revision() + 10;
}

Steps WrongRevision(OpMaker& ops) {
  const int64_t revision = ops.random().Chance(5000)
                               ? ops.model().revision() + ops.random().Between(1, 5)
                               : CompactedRevision(ops);
  pb::RangeRequest range;
  range.set_key(ops.AnyKey());
  range.set_revision(revision);
  pb::TxnRequest txn;
  pb::CompactionRequest compact;
  pb::HashKVRequest hash;
  switch (ops.random().Between(0, 5)) {
    case 0:
      return One(range);
    case 1:
      return One(StreamedRange{range});
    case 2:
      *txn.add_success()->mutable_request_range() = range;
      return One(txn);
    case 3:
      *txn.add_success()->mutable_request_put() = Put(ops.AnyKey(), "v");
      *txn.add_success()->mutable_request_txn()->add_success()->mutable_request_range() = range;
      return One(txn);
    case 4:
      compact.set_revision(revision);
      return One(compact);
    default:
      hash.set_revision(revision);
      return One(hash);
  }
}

Steps NegativeRevision(OpMaker& ops) {
  pb::RangeRequest range;
  range.set_key(ops.ExistingKey());
  range.set_revision(-ops.random().Between(1, 5));
  pb::TxnRequest txn;
  *txn.add_success()->mutable_request_range() = range;
  pb::CompactionRequest compact;
  compact.set_revision(range.revision());
  switch (ops.random().Between(0, 2)) {
    case 0:
      return One(range);
    case 1:
      return One(txn);
    default:
      return One(compact);
  }
}

Steps BadEnum(OpMaker& ops) {
  pb::RangeRequest range;
  const auto [start, end] = ops.SomeRange();
  range.set_key(start);
  range.set_range_end(end);
  if (ops.random().Chance(3000)) {
    range.set_sort_target(static_cast<pb::RangeRequest::SortTarget>(7));
    // etcd 3.5 ends itself with a panic here, so this is what later ones answer.
    Steps steps = One(range);
    steps[0].sides = Step::Sides::kServerOnly;
    steps[0].expected = absl::InvalidArgumentError("etcdserver: invalid sort option");
    return steps;
  }
  if (ops.random().Chance(3000)) {
    range.set_sort_order(static_cast<pb::RangeRequest::SortOrder>(7));
    range.set_sort_target(static_cast<pb::RangeRequest::SortTarget>(ops.random().Between(0, 4)));
    range.set_limit(ops.random().Between(0, 5));
    return One(range);
  }
  pb::TxnRequest txn;
  pb::Compare& compare = *txn.add_compare();
  compare.set_key(ops.ExistingKey());
  if (ops.random().Chance(5000)) {
    compare.set_result(static_cast<pb::Compare::CompareResult>(9));
  } else {
    compare.set_target(static_cast<pb::Compare::CompareTarget>(9));
    compare.set_result(static_cast<pb::Compare::CompareResult>(ops.random().Between(0, 3)));
  }
  txn.add_success()->mutable_request_range()->set_key(compare.key());
  return One(txn);
}

// The number that is compared with may be of another kind than the target; then it counts as 0.
Steps MismatchedCompare(OpMaker& ops) {
  pb::TxnRequest txn;
  pb::Compare& compare = *txn.add_compare();
  compare.set_key(ops.ExistingKey());
  compare.set_target(static_cast<pb::Compare::CompareTarget>(ops.random().Between(0, 4)));
  compare.set_result(static_cast<pb::Compare::CompareResult>(ops.random().Between(0, 3)));
  switch (ops.random().Between(0, 2)) {
    case 0:
      compare.set_value("v1");
      break;
    case 1:
      compare.set_mod_revision(ops.OldRevision());
      break;
    default:
      break;
  }
  txn.add_success()->mutable_request_range()->set_key(compare.key());
  return One(txn);
}

Steps BadBytes(OpMaker& ops) {
  static constexpr const char* kPaths[] = {
      "/etcdserverpb.KV/Range",          "/etcdserverpb.KV/Put",
      "/etcdserverpb.KV/DeleteRange",    "/etcdserverpb.KV/Txn",
      "/etcdserverpb.KV/Compact",        "/etcdserverpb.Lease/LeaseGrant",
      "/etcdserverpb.Lease/LeaseRevoke", "/etcdserverpb.Lease/LeaseTimeToLive",
      "/etcdserverpb.Maintenance/Alarm", "/etcdserverpb.Maintenance/HashKV",
  };
  // A field 1 of 5 bytes of which 2 are there.
  RawCall call{.path = "", .bytes = std::string("\x0a\x05xy", 4)};
  call.path = kPaths[ops.random().Between(0, std::size(kPaths) - 1)];
  return One(call);
}

Steps UnknownMethod(OpMaker& ops) {
  return One(RawCall{
      ops.random().Chance(5000) ? "/etcdserverpb.KV/NoSuchMethod" : "/no.such.Service/Method", ""});
}

Steps EmptyRange(OpMaker& ops) {
  pb::RangeRequest range;
  range.set_key("b");
  range.set_range_end("a");
  pb::DeleteRangeRequest remove;
  remove.set_key(ops.ExistingKey());
  remove.set_range_end(remove.key());
  remove.set_prev_kv(true);
  if (ops.random().Chance(5000)) return One(range);
  return One(remove);
}

Steps OddWatch(OpMaker& ops) {
  pb::WatchCreateRequest create;
  create.set_key(ops.AnyKey());
  const int stream = static_cast<int>(ops.random().Between(0, 3));
  WatchControl control{.stream = stream, .request = {}, .answered = false};
  switch (ops.random().Between(0, 4)) {
    case 0:
      create.set_range_end(create.key());
      return Create(create, stream);
    case 1:
      create.set_start_revision(-ops.random().Between(1, 5));
      return Create(create, stream);
    case 2:
      for (const auto& [number, known] : ops.model().streams()) {
        for (const auto& [id, watch] : known.watches) {
          if (!watch.known || id == 0) continue;
          create.set_watch_id(id);
          return Create(create, number);
        }
      }
      break;
    case 3:
      control.request.mutable_cancel_request()->set_watch_id(4711);
      break;
    default:
      break;
  }
  return One(control);
}

Steps LongKey(OpMaker& ops) {
  const std::string key(16 << 10, ops.random().Chance(5000) ? 'l' : '\xfe');
  Steps steps = One(Put(key, "long"));
  pb::RangeRequest range;
  range.set_key(key);
  pb::DeleteRangeRequest remove;
  remove.set_key(key);
  remove.set_prev_kv(true);
  steps.push_back({.call = range});
  steps.push_back({.call = remove});
  return steps;
}

// Beyond what jetd stores, the one difference from etcd: the key alone, or escaped byte by byte.
Steps TooLongKey(OpMaker& ops) {
  const bool escaped = ops.random().Chance(5000);
  const std::string key(escaped ? 24'000 : 70'000, escaped ? '\xfe' : 'k');
  pb::TxnRequest txn;
  *txn.add_success()->mutable_request_put() = Put(ops.AnyKey(), "v");
  *txn.add_success()->mutable_request_put() = Put(key, "v");
  Steps steps = ops.random().Chance(5000) ? One(Put(key, "v")) : One(txn);
  steps[0].sides = Step::Sides::kServerOnly;
  steps[0].expected = absl::InvalidArgumentError("");
  return steps;
}

Steps DeepTxn(OpMaker& ops) {
  pb::TxnRequest txn;
  pb::TxnRequest* inner = &txn;
  for (int64_t depth = ops.random().Between(5, 60); depth > 0; --depth) {
    auto* branch = ops.random().Chance(5000) ? inner->mutable_success() : inner->mutable_failure();
    inner = branch->Add()->mutable_request_txn();
  }
  *inner->add_success()->mutable_request_put() = Put(ops.AnyKey(), "deep");
  *inner->add_failure()->mutable_request_put() = Put(ops.AnyKey(), "deep");
  return One(txn);
}

// What etcd's search for duplicates does not see: a put and then a delete of a key, in two
// transactions of one.
Steps PutThenDelete(OpMaker& ops) {
  pb::TxnRequest txn;
  const std::string key = ops.AnyKey();
  *txn.add_success()->mutable_request_txn()->add_success()->mutable_request_put() = Put(key, "v");
  auto* remove =
      txn.add_success()->mutable_request_txn()->add_success()->mutable_request_delete_range();
  remove->set_key(key);
  remove->set_prev_kv(true);
  return One(txn);
}

// Up to etcd's limit for a request, and above it; the limit itself moves a little with ids that
// etcd puts around the request.
Steps LargeValue(OpMaker& ops) {
  static constexpr int64_t kSizes[] = {kMebi * 3 / 2 - 512, kMebi * 3 / 2 + 64, 3 * kMebi};
  const int64_t size = kSizes[ops.random().Between(0, 2)];
  const std::string key = "/large";
  const std::string value(static_cast<size_t>(size), 'x');
  Steps steps;
  if (ops.random().Chance(3000)) {
    pb::TxnRequest txn;
    *txn.add_success()->mutable_request_put() = Put(key, value);
    steps = One(txn);
  } else {
    steps = One(Put(key, value));
  }
  if (size > kMebi * 3 / 2) return steps;
  pb::RangeRequest range;
  range.set_key(key);
  pb::DeleteRangeRequest remove;
  remove.set_key(key);
  steps.push_back({.call = range});
  steps.push_back({.call = remove});
  return steps;
}

}  // namespace

std::vector<Step> MakeBadInput(OpMaker& ops) {
  static constexpr Maker kMakers[] = {
      EmptyKey,   IgnoreButGiven,    IgnoreOnAbsentKey, UnknownLease,  OddLease,
      TooManyOps, DuplicateKeys,     EmptyOp,           WrongRevision, NegativeRevision,
      BadEnum,    MismatchedCompare, BadBytes,          UnknownMethod, OddWatch,
      EmptyRange, LongKey,           TooLongKey,        DeepTxn,       PutThenDelete,
  };
  if (ops.random().Chance(300)) return LargeValue(ops);
  return kMakers[ops.random().Between(0, std::size(kMakers) - 1)](ops);
}

}  // namespace jetd::conformance::differential
