// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDCLIENT_TARGET_H_
#define JETD_ETCDCLIENT_TARGET_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "grpcpp/security/credentials.h"

namespace jetd::etcdclient {

// PEM files for https: whom to trust (empty: the system's roots), and what to show.
struct TlsFiles {
  std::string ca_file{}, cert_file{}, key_file{};
};

// What gRPC needs of an endpoint.
struct Target {
  std::string address;  // as gRPC spells it
  std::shared_ptr<grpc::ChannelCredentials> credentials;
};

// Errors as of Client::Connect. Any thread.
[[nodiscard]] absl::StatusOr<Target> TargetOf(const std::string& endpoint, const TlsFiles& files);

}  // namespace jetd::etcdclient

#endif  // JETD_ETCDCLIENT_TARGET_H_
