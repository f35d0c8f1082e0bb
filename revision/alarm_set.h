// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_ALARM_SET_H_
#define JETD_REVISION_ALARM_SET_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "jetstream/record.h"
#include "revision/request.h"

namespace jetd::revision {

// The alarms that are raised, and what they refuse, as in etcd 3.5:
//
//   request                     NOSPACE                 CORRUPT
//   put, grant of a lease       kNoSpace                kCorrupt
//   transaction                 kNoSpace if it may put  kCorrupt, unless it is ranges alone
//   delete, revoke, compaction  goes on                 kCorrupt
//   range, watch, keepalive     goes on                 goes on
//
// jetd's own MIRROR refuses nothing.
//
// "May put" is etcd's word too: either branch counts, a transaction within it does not. With both
// raised both refuse, kCorrupt first; in etcd the one that came last counts until it is restarted.
//
// A plain value. One thread at a time.
class AlarmSet {
 public:
  AlarmSet() = default;
  explicit AlarmSet(std::vector<jetstream::Alarm> alarms);

  // False: it was raised already.
  bool Raise(const jetstream::Alarm& alarm);
  // False: it was not raised.
  bool Disarm(const jetstream::Alarm& alarm);

  // Ascending, none twice.
  [[nodiscard]] const std::vector<jetstream::Alarm>& all() const { return alarms_; }
  // Those that etcd has too, for clients.
  [[nodiscard]] std::vector<jetstream::Alarm> OfEtcd() const;
  [[nodiscard]] bool Has(jetstream::AlarmType type) const;

  // OK, kNoSpace or kCorrupt: for a request of KV; for a grant; for a revoke or a compaction.
  [[nodiscard]] absl::Status RefusalOf(const Op& op) const;
  [[nodiscard]] absl::Status RefusalOfGrant() const;
  [[nodiscard]] absl::Status RefusalOfRemoval() const;

 private:
  std::vector<jetstream::Alarm> alarms_;
};

// What etcd charges a request to its quota before it runs: 256 bytes a put, its key and its value;
// of a transaction the dearer branch, without the transactions within it. 0: nothing is put.
[[nodiscard]] uint64_t CostOf(const Op& op);
inline constexpr uint64_t kLeaseCost = 64;

}  // namespace jetd::revision

#endif  // JETD_REVISION_ALARM_SET_H_
