// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_EVENT_BASE_H_
#define JETD_ETCDAPI_EVENT_BASE_H_

#include <event2/util.h>

#include <chrono>

struct event_base;

namespace jetd::etcdapi {

// A libevent base for one thread at a time. Null: no descriptors are left for it, where libevent
// itself would end the process. Any thread.
[[nodiscard]] event_base* NewEventBase();

[[nodiscard]] inline timeval TimevalOf(std::chrono::milliseconds time) {
  return {.tv_sec = time.count() / 1000, .tv_usec = time.count() % 1000 * 1000};
}

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_EVENT_BASE_H_
