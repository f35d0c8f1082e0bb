// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/event_base.h"

#include <event2/event.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>

#include "base/check.h"
#include "base/log.h"

namespace jetd::etcdapi {
namespace {

// A base has three: epoll's, and a pair for signals. Others may open theirs meanwhile.
bool HasDescriptors() {
  constexpr int kTried = 8;
  std::array<int, kTried> tried{};
  bool all = true;
  for (int& fd : tried) {
    fd = eventfd(0, EFD_CLOEXEC);
    all = all && fd >= 0;
  }
  for (const int fd : tried) {
    if (fd >= 0) close(fd);
  }
  return all;
}

}  // namespace

event_base* NewEventBase() {
  if (!HasDescriptors()) return nullptr;
  event_set_log_callback([](int /*severity*/, const char* text) { log::Debug("http: {}", text); });
  event_config* const config = event_config_new();
  JETD_CHECK(config != nullptr) << "event_config_new";
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
  event_base* const base = event_base_new_with_config(config);
  event_config_free(config);
  JETD_CHECK(base != nullptr) << "event_base_new";
  return base;
}

}  // namespace jetd::etcdapi
