// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_STATE_FEED_H_
#define JETD_REPLICATION_STATE_FEED_H_

#include <cstdint>
#include <string>

#include "base/types.h"
#include "jetstream/subject.h"
#include "replication/bucket_feed.h"
#include "replication/bucket_state.h"

namespace jetd::replication {

// The records of one state: its leases, then its keys in the order of their revisions. Read back,
// they must give the same hash, computed from the records alone.
class StateFeed final : public BucketFeed {
 public:
  // `state` is mended, and outlives this, as does `codec`.
  StateFeed(const jetstream::SubjectCodec* codec, const BucketState* state);

  [[nodiscard]] absl::StatusOr<More> Next(StreamSeq seq, revision::PlannedRecord* record) override;
  void BeginReadBack() override;
  void OnReadBack(const jetstream::Record& record) override;
  [[nodiscard]] absl::Status EndReadBack() override;

 private:
  const jetstream::SubjectCodec* const codec_;
  const BucketState* const state_;
  const uint32_t hash_;
  size_t leases_ = 0, keys_ = 0;  // given so far
  size_t group_end_ = 0;          // of the revision that keys_ is in
  size_t leases_read_ = 0, keys_read_ = 0;
  uint32_t hash_read_ = 0;
};

// A key's record and a lease's, of kDataTerm. `count`: the changes of its transaction.
[[nodiscard]] revision::PlannedRecord KeyRecord(const jetstream::SubjectCodec& codec,
                                                const revision::KvRef& kv, uint32_t count);
[[nodiscard]] revision::PlannedRecord LeaseRecordOf(const jetstream::SubjectCodec& codec,
                                                    const revision::Store::LeaseInfo& lease,
                                                    Revision revision);
// What a live key's record says, as a version; null if it is none of a live key.
[[nodiscard]] revision::KvRef KeyOf(const jetstream::SubjectCodec& codec,
                                    const jetstream::Record& record);
// What the records of a state take in a stream, about.
[[nodiscard]] uint64_t StreamBytesOf(const BucketState& state);

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_STATE_FEED_H_
