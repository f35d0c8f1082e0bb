// SPDX-License-Identifier: Apache-2.0
#include "conformance/history/stream_truth.h"

#include <string>

#include "base/strings.h"

namespace jetd::conformance::history {
namespace {

using Kind = replication::StreamTransaction::Kind;

}  // namespace

absl::StatusOr<std::vector<Transaction>> ReadStream(const replication::StreamSource& source,
                                                    const KeySpace& keys, int64_t first,
                                                    int64_t last) {
  std::vector<Transaction> transactions;
  absl::Status strange;
  const auto on_transaction = [&](const replication::StreamTransaction& read) {
    const int64_t revision = read.revision.value();
    if (!read.counts || revision < first || revision > last) return;
    Transaction transaction{.revision = revision};
    for (const replication::StreamTransaction::Op& op : read.ops) {
      if (op.kind != Kind::kPut && op.kind != Kind::kDelete) continue;
      const auto key = keys.Find(op.key);
      if (!key.has_value()) {
        strange =
            MakeStatus(absl::StatusCode::kInternal, "a key of nobody in the stream: ", op.key);
        return;
      }
      Change change{.key = *key, .state = {.mod = revision}};
      if (op.kind == Kind::kPut) {
        change.state.value = ValueOf(op.payload);
        change.state.create = op.create_revision.value();
        change.state.version = op.version;
      }
      transaction.changes.push_back(change);
    }
    if (!transaction.changes.empty()) transactions.push_back(std::move(transaction));
  };
  const auto result = replication::DumpStream(source, on_transaction);
  if (!result.ok()) return result.status();
  if (!strange.ok()) return strange;
  return transactions;
}

}  // namespace jetd::conformance::history
