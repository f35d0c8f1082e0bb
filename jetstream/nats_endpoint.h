// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_NATS_ENDPOINT_H_
#define JETD_JETSTREAM_NATS_ENDPOINT_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace jetd::jetstream {

// How this program proves who it is to a nats-server, and how it knows the server. Empty: not used.
// Files are read for each connection that is made, so that one with a new secret counts from the
// next one on. The secrets stand in no log line and in no error.
struct NatsCredentials {
  std::string user = {};
  std::string password = {};
  std::string token = {};
  std::string token_file = {};      // a token, blanks and line ends around it left out
  std::string creds_file = {};      // a user JWT and its seed, as NATS's tools write it
  std::string nkey_seed_file = {};  // a bare user seed, "SU…"
  std::string tls_ca_file = {};     // PEM; with it, or a tls:// URL, the connection must be TLS
  std::string tls_cert_file = {};   // PEM, a client certificate and
  std::string tls_key_file = {};    // its key
};

// One server to try.
struct NatsEndpoint {
  std::string url;  // nats://host:port or tls://host:port
  NatsCredentials credentials = {};
};

// Asked before every attempt to connect, on the engine thread. Unavailable means "not yet": the
// attempt counts as failed. FailedPrecondition means "never": the log gives up.
using NatsEndpointFn = std::function<absl::StatusOr<NatsEndpoint>()>;

// Each of `urls` in turn, from the first. REQUIRES: urls not empty.
[[nodiscard]] NatsEndpointFn RotateEndpoints(std::vector<std::string> urls,
                                             NatsCredentials credentials);

// The URL without the user, password or token that may stand in it.
[[nodiscard]] std::string UrlWithoutSecrets(const std::string& url);

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_NATS_ENDPOINT_H_
