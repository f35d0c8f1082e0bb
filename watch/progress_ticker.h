// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_WATCH_PROGRESS_TICKER_H_
#define JETD_WATCH_PROGRESS_TICKER_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/executor.h"

namespace jetd::watch {

class WatchStream;

// ProgressTicker tells streams that it is time for progress notifications. As in etcd each stream
// ticks from its opening on with a period of the interval plus up to a tenth of it, different for
// each, so that clients which came together are not told together. One timer for all, none while no
// stream is listed.
//
// Thread rules: engine thread only.
class ProgressTicker {
 public:
  ProgressTicker(Executor* executor, std::chrono::nanoseconds interval)
      : executor_(executor), interval_(interval) {}
  ~ProgressTicker();
  ProgressTicker(const ProgressTicker&) = delete;
  ProgressTicker& operator=(const ProgressTicker&) = delete;

  // A stream is listed while it has a watcher that wants notifications.
  void Add(WatchStream* stream);
  void Remove(WatchStream* stream);

 private:
  // The stream's first tick after now.
  [[nodiscard]] MonoTime NextTick(const WatchStream& stream) const;
  void List(WatchStream* stream);
  void Arm();
  void Tick();

  Executor* const executor_;
  const std::chrono::nanoseconds interval_;
  std::map<std::pair<MonoTime, uint64_t>, WatchStream*> due_;  // the second: the stream's number
  absl::flat_hash_map<WatchStream*, MonoTime> ticks_;          // the same by stream
  TimerId timer_ = 0;
  MonoTime armed_for_{};
};

}  // namespace jetd::watch

#endif  // JETD_WATCH_PROGRESS_TICKER_H_
