// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nats_files.h"

#include <string_view>

#include "base/pem_files.h"
#include "base/strings.h"
#include "jetstream/nkey.h"

namespace jetd::jetstream {
namespace {

absl::Status Of(const char* flag, const absl::Status& status) {
  if (status.ok()) return status;
  return MakeStatus(absl::StatusCode::kFailedPrecondition, flag, ": ", MessageOf(status));
}

}  // namespace

absl::StatusOr<std::string> ReadToken(const std::string& path) {
  auto text = ReadWholeFile(path);
  if (!text.ok()) return text.status();
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = text->find_first_not_of(kBlanks);
  if (begin == std::string::npos) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition, path, " holds no token");
  }
  return text->substr(begin, text->find_last_not_of(kBlanks) + 1 - begin);
}

absl::Status CheckNatsFiles(const NatsCredentials& credentials) {
  absl::Status status;
  if (!credentials.creds_file.empty()) {
    status.Update(Of("--nats-creds", ReadCredsFile(credentials.creds_file).status()));
  }
  if (!credentials.nkey_seed_file.empty()) {
    status.Update(Of("--nats-nkey", PublicNkeyOfFile(credentials.nkey_seed_file).status()));
  }
  if (!credentials.token_file.empty()) {
    status.Update(Of("--nats-token-file", ReadToken(credentials.token_file).status()));
  }
  if (!credentials.tls_ca_file.empty()) {
    status.Update(Of("--nats-ca-file", ReadCertificates(credentials.tls_ca_file).status()));
  }
  if (!credentials.tls_cert_file.empty()) {
    const auto certificate = ReadCertificates(credentials.tls_cert_file);
    status.Update(Of("--nats-cert-file", certificate.status()));
    if (certificate.ok()) {
      status.Update(
          Of("--nats-key-file", ReadKeyOf(*certificate, credentials.tls_key_file).status()));
    }
  }
  return status;
}

}  // namespace jetd::jetstream
