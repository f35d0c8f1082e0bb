// SPDX-License-Identifier: Apache-2.0
//
// Every subject that a jetd uses for its bucket, so that its user of a nats-server may be allowed
// these and no others (docs/adr/0050-tenants.md). Pure functions; any thread.
#ifndef JETD_JETSTREAM_BUCKET_ACCESS_H_
#define JETD_JETSTREAM_BUCKET_ACCESS_H_

#include <string>
#include <vector>

namespace jetd::jetstream {

// Subjects that a user may publish to and subscribe to; all others are refused.
struct Permissions {
  std::vector<std::string> publish;
  std::vector<std::string> subscribe;
  bool operator==(const Permissions&) const = default;
};

// Where answers to a connection for this bucket come: "_jetd.<bucket>.inbox", with a token of the
// connection's behind it. One for all members of a bucket, since they answer each other too.
[[nodiscard]] std::string InboxPrefix(const std::string& bucket);

// What a jetd that serves `bucket` needs on a server of its stream's own JetStream domain, `jetctl
// check` included. It may make the stream if there is none; it may not change or delete it. Of the
// bucket's mirrors in other domains it may read.
[[nodiscard]] Permissions PermissionsOf(const std::string& bucket);

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_BUCKET_ACCESS_H_
