// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/nats_files.h"

#include <string>

#include "base/pem_files.h"
#include "base/strings.h"
#include "jetstream/nkey.h"

namespace jetd::etcdapi {
namespace {

absl::Status Of(const char* flag, const absl::Status& status) {
  if (status.ok()) return status;
  return MakeStatus(absl::StatusCode::kFailedPrecondition, flag, ": ", MessageOf(status));
}

}  // namespace

absl::Status CheckNatsFiles(const NatsConfig& nats) {
  absl::Status status;
  if (!nats.creds_file.empty()) {
    status.Update(Of("--nats-creds", jetstream::CheckCredsFile(nats.creds_file)));
  }
  if (!nats.nkey_file.empty()) {
    status.Update(Of("--nats-nkey", jetstream::PublicNkeyOfFile(nats.nkey_file).status()));
  }
  if (!nats.ca_file.empty()) {
    status.Update(Of("--nats-ca-file", ReadCertificates(nats.ca_file).status()));
  }
  if (!nats.cert_file.empty()) {
    const auto certificate = ReadCertificates(nats.cert_file);
    status.Update(Of("--nats-cert-file", certificate.status()));
    if (certificate.ok()) {
      status.Update(Of("--nats-key-file", ReadKeyOf(*certificate, nats.key_file).status()));
    }
  }
  return status;
}

}  // namespace jetd::etcdapi
