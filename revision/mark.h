// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_MARK_H_
#define JETD_REVISION_MARK_H_

#include <cstdint>

#include "base/types.h"
#include "jetstream/log.h"

namespace jetd::revision {

// A record of the stream, to be known again. A stream that lost its tail gives sequences out a
// second time, at times to a record of the same key and revision; but never at the same nanosecond,
// and a record keeps its time wherever it is copied to.
struct Mark {
  StreamSeq seq;
  int64_t time_ns = 0;  // the stream's; 0: not known

  // Another record lies at its place.
  [[nodiscard]] bool TakenBy(const jetstream::Record& record) const {
    return time_ns != 0 && record.time_ns != 0 && record.seq == seq && record.time_ns != time_ns;
  }
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_MARK_H_
