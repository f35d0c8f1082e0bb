// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_TLS_FILES_H_
#define JETD_ETCDAPI_TLS_FILES_H_

#include <string>
#include <vector>

#include "rpc/tls.h"

namespace jetd::etcdapi {

using rpc::TlsVersion;

// What the flags say of TLS towards clients.
struct TlsFiles {
  std::string cert_file;        // PEM, leaf first
  std::string key_file;         // PEM
  std::string trusted_ca_file;  // PEM; empty: clients' certificates are not looked at
  bool client_cert_auth = false;
  std::string crl_file;  // PEM or DER: serial numbers that are refused; empty: none
  // A client's certificate must have one of them; both empty: all are let in.
  std::vector<std::string> allowed_hostnames = {};  // a DNS name or an IP address
  std::vector<std::string> allowed_cns = {};        // the subject's common name
  TlsVersion min_version = TlsVersion::k12;
  TlsVersion max_version = TlsVersion::k13;
  std::string ciphers;  // of TLS 1.2, as OpenSSL lists them; empty: the library's

  // etcd demands a certificate when it knows a CA, whether it is told to or not.
  [[nodiscard]] bool demands_certificates() const {
    return client_cert_auth || !trusted_ca_file.empty();
  }
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_TLS_FILES_H_
