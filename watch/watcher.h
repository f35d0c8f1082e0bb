// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_WATCH_WATCHER_H_
#define JETD_WATCH_WATCHER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/types.h"
#include "revision/kv.h"
#include "watch/interval_index.h"

namespace jetd::watch {

class WatchStream;

// Watcher is one watch: a plain record that its stream owns and the feed moves about. About 120
// bytes; the range's bytes are in the index node, shared with other watchers of the same range.
//
//   kSynced    in node->synced: gets events as they commit
//   kReady     in node->behind and in the feed's ready set: events from min_revision on are read
//              from history in the next steps
//   kBlocked   in no list: its stream is full; becomes ready when the stream has room
//   kCompacted in no list: canceled, the id stays taken until the client cancels it (as in etcd)
struct Watcher {
  enum class State : uint8_t { kSynced, kReady, kBlocked, kCompacted };
  static constexpr uint32_t kNowhere = UINT32_MAX;

  WatchStream* stream = nullptr;
  IntervalIndex::Node* node = nullptr;  // null once compacted
  WatchId id;
  Revision start_revision;  // as the client said; 0: from the beginning of the watch
  // No event below this is sent any more. Of a synced watcher only a lower bound.
  Revision min_revision;
  uint32_t list_slot = kNowhere;     // in node->synced or node->behind
  uint32_t pending_slot = kNowhere;  // in the feed's list of watchers with events
  State state = State::kSynced;
  bool progress_notify = false;
  bool no_put = false;
  bool no_delete = false;
  bool prev_kv = false;
  bool fragment = false;
  // No event was sent since the stream's last tick: it wants a progress notification.
  bool quiet = true;

  // Events collected and not yet handed to the stream, and their encoded size.
  std::vector<revision::Change> events;
  size_t event_bytes = 0;
};

}  // namespace jetd::watch

#endif  // JETD_WATCH_WATCHER_H_
