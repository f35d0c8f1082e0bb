// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_WATCH_READER_H_
#define JETD_CONFORMANCE_WATCH_READER_H_

#include <atomic>
#include <functional>

#include "etcdclient/stream.h"

namespace jetd::conformance {

// Reads one watch stream until `stop`, its end, `most_responses` of them (0: any number), or until
// `take` says that it is of no more use. Asks for progress whenever nothing comes for a moment, and
// between events too. Behind a stream that broke it pauses, so that a caller may open the next at
// once. Blocks the calling thread.
void ReadWatch(etcdclient::WatchStream& stream, const std::atomic<bool>& stop, int most_responses,
               const std::function<bool(const etcdclient::pb::WatchResponse&)>& take);

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_WATCH_READER_H_
