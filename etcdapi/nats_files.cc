// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/nats_files.h"

#include "jetstream/nats_files.h"

namespace jetd::etcdapi {

jetstream::NatsCredentials CredentialsOf(const NatsConfig& nats) {
  jetstream::NatsCredentials credentials;
  credentials.user = nats.user;
  credentials.password = nats.password;
  credentials.token = nats.token;
  credentials.token_file = nats.token_file;
  credentials.creds_file = nats.creds_file;
  credentials.nkey_seed_file = nats.nkey_file;
  credentials.tls_ca_file = nats.ca_file;
  credentials.tls_cert_file = nats.cert_file;
  credentials.tls_key_file = nats.key_file;
  return credentials;
}

absl::Status CheckNatsFiles(const NatsConfig& nats) {
  return jetstream::CheckNatsFiles(CredentialsOf(nats));
}

}  // namespace jetd::etcdapi
