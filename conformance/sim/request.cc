// SPDX-License-Identifier: Apache-2.0
#include "conformance/sim/request.h"

#include "base/strings.h"

namespace jetd::conformance::sim {
namespace {

revision::Op MakeOne(const Action& action) {
  switch (action.kind) {
    case Action::Kind::kPut:
      return {revision::PutOp{.key = action.key,
                              .value = action.value,
                              .lease = action.lease,
                              .prev_kv = action.prev_kv}};
    case Action::Kind::kDelete:
      return {revision::DeleteOp{.keys = {action.key, action.end}, .prev_kv = action.prev_kv}};
    case Action::Kind::kRange:
      break;
  }
  return {MakeRange(action)};
}

std::string ToString(const Action& action) {
  std::string text;
  switch (action.kind) {
    case Action::Kind::kPut:
      text = Cat("put ", action.key, "=", action.value);
      if (action.lease != LeaseId{}) CatTo(text, " lease ", action.lease.value());
      return text;
    case Action::Kind::kDelete:
      text = "delete ";
      break;
    case Action::Kind::kRange:
      text = action.serializable ? "range (serializable) " : "range ";
      break;
  }
  CatTo(text, action.key);
  if (!action.end.empty()) CatTo(text, "..", action.end);
  if (action.revision != Revision{}) CatTo(text, " at ", action.revision.value());
  if (action.limit > 0) CatTo(text, " limit ", action.limit);
  return text;
}

}  // namespace

revision::RangeOp MakeRange(const Action& range) {
  revision::RangeOp op;
  op.keys = {range.key, range.end};
  op.limit = range.limit;
  op.revision = range.revision;
  op.serializable = range.serializable;
  op.keys_only = range.keys_only;
  op.count_only = range.count_only;
  return op;
}

revision::Op MakeOp(const Request& request) {
  if (!request.txn) return MakeOne(request.success.front());
  revision::TxnOp txn;
  for (const Comparison& comparison : request.compares) {
    txn.compares.push_back({.target = comparison.target,
                            .result = comparison.result,
                            .keys = {comparison.key, {}},
                            .number = comparison.number,
                            .value = comparison.value});
  }
  for (const Action& action : request.success) txn.success.push_back(MakeOne(action));
  for (const Action& action : request.failure) txn.failure.push_back(MakeOne(action));
  return {std::move(txn)};
}

std::string ToString(const Request& request) {
  if (!request.txn) return ToString(request.success.front());
  std::string text = "txn";
  for (const Comparison& comparison : request.compares) {
    CatTo(text, " if ", comparison.key, " (", static_cast<int>(comparison.target), ") ",
          static_cast<int>(comparison.result), " ", comparison.number, comparison.value);
  }
  for (const Action& action : request.success) CatTo(text, "; ", ToString(action));
  if (!request.failure.empty()) CatTo(text, " else");
  for (const Action& action : request.failure) CatTo(text, "; ", ToString(action));
  return text;
}

}  // namespace jetd::conformance::sim
