// SPDX-License-Identifier: Apache-2.0
#include "etcdclient/target.h"

#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>

#include "base/strings.h"

namespace jetd::etcdclient {
namespace {

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return MakeStatus(absl::StatusCode::kNotFound, "cannot read ", path);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> TlsCredentials(const TlsFiles& files) {
  grpc::SslCredentialsOptions ssl;
  for (const auto& [path, text] : {std::pair(&files.ca_file, &ssl.pem_root_certs),
                                   std::pair(&files.key_file, &ssl.pem_private_key),
                                   std::pair(&files.cert_file, &ssl.pem_cert_chain)}) {
    if (path->empty()) continue;
    auto read = ReadFile(*path);
    if (!read.ok()) return read.status();
    *text = *std::move(read);
  }
  return grpc::SslCredentials(ssl);
}

}  // namespace

absl::StatusOr<Target> TargetOf(const std::string& endpoint, const TlsFiles& files) {
  const auto rest_after = [&](std::string_view scheme) {
    return endpoint.starts_with(scheme) ? endpoint.substr(scheme.size()) : std::string();
  };
  if (auto rest = rest_after("http://"); !rest.empty()) {
    return Target{std::move(rest), grpc::InsecureChannelCredentials()};
  }
  if (auto rest = rest_after("unix://"); !rest.empty()) {
    return Target{Cat("unix:", rest), grpc::InsecureChannelCredentials()};
  }
  if (auto rest = rest_after("https://"); !rest.empty()) {
    auto credentials = TlsCredentials(files);
    if (!credentials.ok()) return credentials.status();
    return Target{std::move(rest), *std::move(credentials)};
  }
  return MakeStatus(absl::StatusCode::kInvalidArgument, "endpoint ", endpoint,
                    " is none of http://host:port, https://host:port, unix://path");
}

}  // namespace jetd::etcdclient
