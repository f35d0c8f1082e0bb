// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_WATCH_RESPONSE_H_
#define JETD_WATCH_RESPONSE_H_

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "base/types.h"
#include "revision/kv.h"

namespace jetd::watch {

// What one watch response says, before etcdapi spells it in protobuf.
struct Response {
  WatchId watch_id;
  // Of the header. Of a response with events: that of the last, or while a watcher catches up the
  // newest of all. Of a progress response: nothing at or below it is to come. 0 in a cancellation
  // because of compaction, as etcd's.
  Revision revision;
  bool created = false;
  bool canceled = false;
  bool fragment = false;      // more of the same response follow
  Revision compact_revision;  // not 0: canceled because it wanted to start below
  std::string cancel_reason;
  // Events in order. `prev` is set only if the watch asked for it (and there was one).
  std::vector<revision::Change> events;

  // Encoded size, the header counted with its usual size.
  [[nodiscard]] size_t size_bytes() const;
};

// Encoded size of one event within a response.
[[nodiscard]] size_t EventBytes(const revision::Change& event);

// Cuts a response as etcd's server does for a watch with `fragment`: if it is at least `max_bytes`
// and has two events or more, into pieces below `max_bytes` (or of one event), all but the last
// marked. Calls fn(Response) for each.
template <typename Fn>
void Fragment(Response response, size_t max_bytes, Fn&& fn) {
  if (response.events.size() < 2 || response.size_bytes() < max_bytes) {
    fn(std::move(response));
    return;
  }
  std::vector<revision::Change> events = std::move(response.events);
  response.events.clear();
  const size_t empty_bytes = response.size_bytes() + 2;  // the mark itself
  size_t next = 0;
  while (next < events.size()) {
    Response piece = response;
    size_t bytes = empty_bytes;
    while (next < events.size()) {
      const size_t event_bytes = EventBytes(events[next]);
      if (!piece.events.empty() && bytes + event_bytes >= max_bytes) break;
      bytes += event_bytes;
      piece.events.push_back(std::move(events[next++]));
    }
    piece.fragment = next < events.size();
    fn(std::move(piece));
  }
}

}  // namespace jetd::watch

#endif  // JETD_WATCH_RESPONSE_H_
