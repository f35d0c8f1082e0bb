// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BASE_USAGE_RECORD_H_
#define JETD_BASE_USAGE_RECORD_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace jetd {

// What a member did for its tenant: counters that only grow.
struct UsageCounters {
  std::map<std::string, uint64_t> requests;  // by RPC
  uint64_t bytes_in = 0, bytes_out = 0;
  double cpu_seconds = 0, watch_seconds = 0;

  friend bool operator==(const UsageCounters&, const UsageCounters&) = default;
};
void AddTo(const UsageCounters& more, UsageCounters* all);
// What came after `earlier`; what is less than there counts as nothing.
[[nodiscard]] UsageCounters Difference(const UsageCounters& all, const UsageCounters& earlier);

// Whose it is.
struct UsageOwner {
  std::string bucket, cluster_id, member_id;  // ids in hex, as etcdctl shows them

  friend bool operator==(const UsageOwner&, const UsageOwner&) = default;
};

// All that was used from a record's beginning up to a moment, whatever processes did it.
struct UsageSample {
  UsageOwner owner;
  std::string record;    // 128 random bits in hex: of another one the counters begin at 0
  int64_t began_ms = 0;  // times are of the wall clock, in milliseconds since 1970
  uint64_t number = 0;   // from 1 on
  int64_t time_ms = 0;
  UsageCounters all;

  friend bool operator==(const UsageSample&, const UsageSample&) = default;
};

// UsageRecord keeps samples in a folder of one member, so that what it used is known when its
// process is not there any more (docs/adr/0051-what-was-used-is-kept-in-the-data-folder.md):
//
//   minutes   every sample           hours   the first of each hour
//   ….old     the same, from before; each file gives way to a new one when it is full
//
// A line is a sample: the first 64 bits of its SHA-256 in hex, a blank, and one JSON object, "v":1
// in it. A line that does not fit its sum is not there: the torn one of a power cut, or what a
// broken disk left. Nothing is synced: a process that is killed leaves all that it appended, a host
// without power what the system had written.
//
// Bounds: kMinutesBytes and kHoursBytes, twice each: at 300 bytes a line minutes of a day, hours of
// a hundred days. In memory: the newest sample.
//
// One thread at a time; a reader may come at any time.
class UsageRecord {
 public:
  static constexpr uint64_t kMinutesBytes = 512UL << 10;
  static constexpr uint64_t kHoursBytes = 1024UL << 10;

  // In `root`/<cluster>-<member>, which is made. FailedPrecondition with one line for people:
  // another process keeps it, a newer jetd wrote it, or the folder cannot be written to.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<UsageRecord>> Open(const std::string& root,
                                                                         const UsageOwner& owner,
                                                                         int64_t now_ms);
  ~UsageRecord();
  UsageRecord(const UsageRecord&) = delete;
  UsageRecord& operator=(const UsageRecord&) = delete;

  // Of a new record: number 0, with nothing used.
  [[nodiscard]] const UsageSample& newest() const { return newest_; }
  [[nodiscard]] const std::string& folder() const { return folder_; }
  // There were files, and no sample in them: what they counted is lost.
  [[nodiscard]] bool lost() const { return lost_; }

  // `all` since the record's beginning. Not OK: it is not in both files, and the next one may be.
  // Numbers count lines: what could not be written has none, so that no gap looks like a loss.
  [[nodiscard]] absl::Status Append(int64_t now_ms, const UsageCounters& all);

 private:
  UsageRecord(std::string folder, int lock_fd) : folder_(std::move(folder)), lock_fd_(lock_fd) {}
  [[nodiscard]] absl::Status ReadNewest();
  [[nodiscard]] absl::Status AppendTo(const char* name, uint64_t max_bytes,
                                      const std::string& line) const;

  const std::string folder_;
  const int lock_fd_;
  UsageSample newest_;
  int64_t hour_ = -1;  // of the newest sample in `hours`
  bool lost_ = false;
};

// All that is kept in a record's folder, ascending by number; nothing if there is none.
[[nodiscard]] std::vector<UsageSample> ReadUsageSamples(const std::string& folder);
// The folders of all records below `root`; none if it is not there.
[[nodiscard]] std::vector<std::string> UsageFolders(const std::string& root);

struct UsagePassed {
  int64_t from_ms = 0;  // the moment that was asked for; or a later one: nothing older is kept
  UsageCounters used;
};
// What was used after `since_ms`, up to `now`, which need not be one of the samples. What was used
// between two samples counts as used at the second one, by what its clock said; so a clock that was
// set counts nothing twice, and what it counts to a wrong time is what was used while it was wrong.
[[nodiscard]] UsagePassed UsedSince(const std::vector<UsageSample>& samples, const UsageSample& now,
                                    int64_t since_ms);

}  // namespace jetd

#endif  // JETD_BASE_USAGE_RECORD_H_
