// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_VERSION_HISTORY_H_
#define JETD_REPLICATION_VERSION_HISTORY_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "base/types.h"
#include "replication/point.h"
#include "replication/stream_source.h"
#include "replication/transaction_reader.h"

namespace jetd::replication {

// One version of a key, or its end.
struct KeyVersion {
  std::string key;
  Revision revision;
  int64_t time_ns = 0;
  int64_t version = 0;  // 0: deleted
  Revision create_revision{};
  LeaseId lease{};
  size_t value_bytes = 0;
  std::string value{};  // if it was asked for
  // Records of this key right before this one that are gone, at least so many.
  int64_t missing = 0;
};

struct HistoryOptions {
  std::string key = {};     // this key, or
  std::string prefix = {};  // all that begin with this; both empty: all
  bool values = false;
  // Revisions or times, both in; kNewest: no bound. By the clock of point.h: a version counts as of
  // the latest stamp up to its own.
  Point from = {}, to = {};
  std::function<void(uint64_t records)> progress = {};
};

struct KeyHistories {
  std::vector<KeyVersion> versions;  // as they came
  Revision current, compacted;
  absl::Status damage;  // what lies behind it is not in `versions`
};

// VersionHistory picks the versions of some keys out of a stream's transactions. One thread.
class VersionHistory {
 public:
  // `options` outlives it.
  explicit VersionHistory(const HistoryOptions* options) : options_(options) {}
  void Add(StreamTransaction transaction);
  [[nodiscard]] std::vector<KeyVersion>& versions() { return versions_; }

 private:
  struct Newest {
    Revision create_revision;
    int64_t version = 0;  // 0: deleted, or never there
  };
  [[nodiscard]] bool Wanted(std::string_view key) const;
  [[nodiscard]] bool Inside(Revision revision) const;

  const HistoryOptions* const options_;
  absl::flat_hash_map<std::string, Newest> newest_;
  int64_t clock_ns_ = 0;
  std::vector<KeyVersion> versions_;
};

// From a source. Blocks; any one thread. Memory: the versions.
[[nodiscard]] absl::StatusOr<KeyHistories> ReadHistory(const StreamSource& source,
                                                       const HistoryOptions& options);

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_VERSION_HISTORY_H_
