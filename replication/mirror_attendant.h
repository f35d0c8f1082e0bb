// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_MIRROR_ATTENDANT_H_
#define JETD_REPLICATION_MIRROR_ATTENDANT_H_

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "replication/stream_source.h"

namespace jetd::replication {

struct AttendOptions {
  StreamSource mirror{};  // in the domain of the server that is connected to
  std::chrono::milliseconds poll{250};
  // nats-server waits 30 s for the answer.
  std::chrono::seconds patience{28};
  std::function<void(std::string_view line)> say{};  // what is seen and done, for people
  // Set: the end. Not null.
  const std::atomic<bool>* interrupted = nullptr;
};

// Stands beside a mirror and shortens what its nats-server waits after a cut.
//
// To attach, that server asks the origin's for a consumer. What it asks while the link is down goes
// nowhere; it waits 30 s for the answer all the same, and then ten seconds and more before it asks
// again. This one hears the question too, and asks it again in the same words, the answer to go
// where the first one would have gone, as soon as the origin answers. Each question once, and only
// while the mirror hears nothing of its origin and waits.
//
//   at second  0   the link is cut
//             15   the mirror's server has heard nothing, and asks; nobody is there
//             30   the link is back; this asks again, and the mirror is attached
//             45   the server would have given up, and asked again at 55
//
// Blocks, any one thread. OK: interrupted. InvalidArgument: a source without a server of its own,
// or one in another domain. FailedPrecondition: what is there is no mirror of `jetctl mirror add`,
// or the user may not hear or ask the question. Unavailable: no connection, or it was lost: try
// again.
[[nodiscard]] absl::Status AttendMirror(const AttendOptions& options);

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_MIRROR_ATTENDANT_H_
