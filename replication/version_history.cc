// SPDX-License-Identifier: Apache-2.0
#include "replication/version_history.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/error.h"
#include "replication/point_survey.h"
#include "replication/stream_dump.h"

namespace jetd::replication {
namespace {

constexpr uint64_t kProgressEvery = 1'024;
constexpr int kAttempts = 5;

using Kind = StreamTransaction::Kind;

}  // namespace

bool VersionHistory::Wanted(std::string_view key) const {
  return options_->key.empty() ? key.starts_with(options_->prefix) : key == options_->key;
}

bool VersionHistory::Inside(Revision revision) const {
  const Point& from = options_->from;
  const Point& to = options_->to;
  if (from.kind == Point::Kind::kRevision && revision < from.revision) return false;
  if (from.kind == Point::Kind::kTime && clock_ns_ < from.time_ns) return false;
  if (to.kind == Point::Kind::kRevision && revision > to.revision) return false;
  return to.kind != Point::Kind::kTime || clock_ns_ <= to.time_ns;
}

void VersionHistory::Add(StreamTransaction transaction) {
  if (!transaction.counts) return;
  if (IsOfClients(transaction)) clock_ns_ = std::max(clock_ns_, transaction.time_ns);
  for (StreamTransaction::Op& op : transaction.ops) {
    const bool deleted = op.kind == Kind::kDelete;
    if ((op.kind != Kind::kPut && !deleted) || !Wanted(op.key)) continue;
    Newest& newest = newest_[op.key];
    const bool live = newest.version > 0;
    KeyVersion version{.key = op.key,
                       .revision = transaction.revision,
                       .time_ns = transaction.time_ns,
                       .version = op.version,
                       .create_revision = op.create_revision,
                       .lease = op.lease,
                       .value_bytes = op.payload.size()};
    if (deleted) {
      version.missing = live ? 0 : 1;
    } else if (live && newest.create_revision == op.create_revision) {
      version.missing = std::max<int64_t>(0, op.version - newest.version - 1);
    } else {
      version.missing = op.version - 1 + (live ? 1 : 0);
    }
    newest = {.create_revision = op.create_revision, .version = op.version};
    if (!Inside(transaction.revision)) continue;
    if (options_->values) version.value = std::move(op.payload);
    versions_.push_back(std::move(version));
  }
}

absl::StatusOr<KeyHistories> ReadHistory(const StreamSource& source,
                                         const HistoryOptions& options) {
  for (int attempt = 1;; ++attempt) {
    VersionHistory history(&options);
    uint64_t seen = 0;
    const auto result = ReadTransactions(source, [&](StreamTransaction transaction) {
      history.Add(std::move(transaction));
      if (options.progress && ++seen % kProgressEvery == 0) options.progress(seen);
    });
    // Compacted while it was read.
    if (GetErrc(result.status()) == Errc::kUnavailable && attempt < kAttempts) continue;
    if (!result.ok() && GetErrc(result.status()) != Errc::kCorrupt) return result.status();
    KeyHistories histories;
    histories.versions = std::move(history.versions());
    if (result.ok()) {
      histories.current = result->revision;
      histories.compacted = result->compacted;
    } else {
      histories.damage = result.status();
    }
    return histories;
  }
}

}  // namespace jetd::replication
