// SPDX-License-Identifier: Apache-2.0
//
// Whether a nats-server can be used at all, and what has to be known of it. Errors are
// FailedPrecondition with one line for whoever runs it: what is wrong, why that matters, how to
// mend it. Any thread, but for ProbeControlLine: the engine thread's.
#ifndef JETD_JETSTREAM_SERVER_CHECK_H_
#define JETD_JETSTREAM_SERVER_CHECK_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "jetstream/log.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_connection.h"

namespace jetd::jetstream {

// What it says of itself: the version, 2.<min_minor> at least, and max_payload.
[[nodiscard]] absl::Status CheckServer(const NatsServerInfo& server, int min_minor);

// Whether it takes the longest line that jetd sends. nats-server ends a connection on which a line
// is longer than its max_control_line, and tells that limit to nobody, so it has to be tried: by an
// append that asks for a sequence that no stream reaches, which is refused and stores nothing,
// under a subject so long that its line is the longest of all:
//
//   HPUB $KV.b.=xxx…xxx <inbox>.q.7 <header bytes> <bytes>
//
// `done` gets OK if any answer comes, otherwise the error of NatsApi::Request. `subject_prefix` is
// the bucket's, "$KV.b."; `publish_prefix` what stands before every subject ("" without a domain).
void ProbeControlLine(NatsApi* api, const std::string& publish_prefix,
                      const std::string& subject_prefix, std::function<void(absl::Status)> done);

// Whether a connection that was lost for `why` was ended for a line that is too long.
[[nodiscard]] bool TellsOfControlLine(const absl::Status& why);

[[nodiscard]] absl::Status ControlLineTooShort(const std::string& url);

// What an answered write survives on a server whose files are not synced by us.
[[nodiscard]] std::string OutsideCaveat(int replicas);

// What whoever runs jetd should know about this log, one line each: what an answered write
// survives, and that large requests will be refused. Logged when it changes.
[[nodiscard]] std::vector<std::string> WarningsOf(const LogInfo& info);

// Says in the log what a connection is to.
void TellConnected(const LogInfo& info, const std::string& url, const std::string& stream,
                   uint64_t records);

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_SERVER_CHECK_H_
