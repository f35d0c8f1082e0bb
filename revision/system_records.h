// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_SYSTEM_RECORDS_H_
#define JETD_REVISION_SYSTEM_RECORDS_H_

#include <map>
#include <vector>

#include "base/types.h"

namespace jetd::revision {

// Where jetd's own records lie, for the collector.
struct SystemRecords {
  std::map<LeaseId, StreamSeq> leases;  // grants of leases that are there
  struct GoneLease {
    Revision revision;  // of the record that says "gone"
    StreamSeq grant;    // 0: removed before
    StreamSeq gone;
  };
  std::vector<GoneLease> gone_leases;
  StreamSeq compact;            // newest compaction record, 0: none
  StreamSeq term;               // newest term record
  StreamSeq alarm;              // newest record of alarms, 0: none
  std::vector<StreamSeq> live;  // lists of what counts
  // Term records that void nothing, except the newest; and records of compactions and alarms but
  // the newest.
  std::vector<StreamSeq> superseded;
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_SYSTEM_RECORDS_H_
