// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_WATCH_ORDER_H_
#define JETD_CONFORMANCE_WATCH_ORDER_H_

#include <cstdint>
#include <string>

#include "base/etcdpb/rpc.pb.h"

namespace jetd::conformance {

// What a watch promises by itself, whatever was written: revisions never fall, one revision comes
// in one response (or in its fragments), nothing comes at or below a revision that progress has
// declared complete, none before the watch was announced, and no header is older than its events.
// Whether all events came, each once, is for the one who has the history to say.
//
// Follows one watch over all its streams. A plain value.
class WatchOrder {
 public:
  explicit WatchOrder(int64_t start_revision) : last_(start_revision - 1) {}

  // The server announced the watch on this stream.
  void TakeCreated() { announced_ = true; }
  // A response with events; "" or what is wrong with it.
  [[nodiscard]] std::string TakeEvents(const etcdserverpb::WatchResponse& response);
  // A progress answer or notification that is for this watch. Before it was announced, progress
  // does not speak of it: etcd answers for all watches of a stream while the announcement and the
  // events of a new one may still wait behind the answer.
  [[nodiscard]] std::string TakeProgress(int64_t revision);
  // A new stream, which announces the watch anew: what was cut off in the middle of its fragments
  // comes again from its beginning. Watch again from complete() + 1.
  void Reopen();

  // All events at or below have come.
  [[nodiscard]] int64_t complete() const;

 private:
  int64_t last_;          // revision of the newest event
  int64_t progress_ = 0;  // declared complete
  bool in_fragment_ = false;
  bool announced_ = false;
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_WATCH_ORDER_H_
