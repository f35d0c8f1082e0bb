// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/nats_files.h"

#include "jetstream/nats_files.h"

namespace jetd::etcdapi {

absl::Status CheckNatsFiles(const NatsConfig& nats) {
  jetstream::NatsCredentials credentials;
  credentials.creds_file = nats.creds_file;
  credentials.nkey_seed_file = nats.nkey_file;
  credentials.tls_ca_file = nats.ca_file;
  credentials.tls_cert_file = nats.cert_file;
  credentials.tls_key_file = nats.key_file;
  return jetstream::CheckNatsFiles(credentials);
}

}  // namespace jetd::etcdapi
