// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_SERVICE_NOTICE_H_
#define JETD_ETCDAPI_SERVICE_NOTICE_H_

#include <string_view>

namespace jetd::etcdapi {

// What the service manager is told, as sd_notify(3) defines it.
inline constexpr std::string_view kNoticeReady = "READY=1";
inline constexpr std::string_view kNoticeStopping = "STOPPING=1";

// Tells the service manager that started this process (NOTIFY_SOCKET) a state, in one datagram.
// Without one, or one that does not listen, nothing happens: a server serves without it too. Any
// thread; does not block. The protocol is stable by systemd's promise, and its library would cost
// an empty jetd memory for five lines.
void TellServiceManager(std::string_view state);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_SERVICE_NOTICE_H_
