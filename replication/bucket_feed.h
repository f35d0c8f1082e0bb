// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_BUCKET_FEED_H_
#define JETD_REPLICATION_BUCKET_FEED_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/types.h"
#include "jetstream/log.h"
#include "revision/planned_record.h"

namespace jetd::replication {

// Where a BucketWriter gets its records from. On the thread of the log.
//
// As a rule the same source gives the same records in the same order whenever it is asked anew, to
// the byte: so a restore that was cut short is taken up by comparing what is there. One that cannot
// (a store that lives on) says so by compares(), and all that is there is void.
class BucketFeed {
 public:
  enum class More {
    kRecord,
    kLater,  // none now: whoever has one calls BucketWriter::Wake
    kAnew,   // what was given before is void, and what comes from here on is all
    kEnd
  };

  virtual ~BucketFeed() = default;
  [[nodiscard]] virtual bool compares() const { return true; }
  // The next record, which lies at `seq`: records of keys and leases, ascending by revision, all of
  // term kDataTerm and of revisions below the bumped one.
  [[nodiscard]] virtual absl::StatusOr<More> Next(StreamSeq seq,
                                                  revision::PlannedRecord* record) = 0;

  // At the end all is read back from the stream: Begin, each record that is not void, in order, and
  // then the verdict. An error leaves the bucket as it is, not whole.
  virtual void BeginReadBack() = 0;
  virtual void OnReadBack(const jetstream::Record& record) = 0;
  [[nodiscard]] virtual absl::Status EndReadBack() = 0;
};

// Of a restored bucket's records; its last record, which makes it whole, is of the term after that.
inline constexpr Term kDataTerm{1};
inline constexpr Term kWholeTerm{2};

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_BUCKET_FEED_H_
