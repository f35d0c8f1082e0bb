// SPDX-License-Identifier: Apache-2.0
#include "revision/request.h"

#include <algorithm>

namespace jetd::revision {

bool MayWrite(const Op& op) {
  if (std::holds_alternative<RangeOp>(op.v)) return false;
  const auto* txn = std::get_if<TxnOp>(&op.v);
  if (txn == nullptr) return true;
  return std::any_of(txn->success.begin(), txn->success.end(), MayWrite) ||
         std::any_of(txn->failure.begin(), txn->failure.end(), MayWrite);
}

}  // namespace jetd::revision
