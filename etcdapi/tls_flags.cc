// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/tls_flags.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/strings.h"

namespace jetd::etcdapi {
namespace {

template <typename... Pieces>
absl::Status Invalid(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, pieces...);
}

// What Go's flags take for a bool.
absl::Status ParseBool(const char* flag, const std::string& text, bool* out) {
  for (const char* yes : {"true", "1", "t", "T", "TRUE", "True"}) {
    if (text == yes) *out = true;
    if (text == yes) return absl::OkStatus();
  }
  for (const char* no : {"false", "0", "f", "F", "FALSE", "False"}) {
    if (text == no) *out = false;
    if (text == no) return absl::OkStatus();
  }
  return Invalid("--", flag, ": \"", text, "\" is neither; write true or false");
}

void WarnOfUnusedTls(Config* config) {
  const TlsFiles& tls = config->tls;
  const ListenUrl* plain = nullptr;
  bool used = false;
  for (const ListenUrl& url : config->listen_client_urls) {
    used = used || url.tls;
    if (url.tls) continue;
    if (plain == nullptr) plain = &url;
    if (tls.client_cert_auth && !url.unix_socket) {
      config->warnings.push_back(Cat("--client-cert-auth has no effect on ", url.text,
                                     ": it is without TLS, and lets everybody in"));
    }
  }
  for (const ListenUrl& url : config->http_urls()) used = used || url.tls;
  for (const auto& [flag, file] : {std::pair("--cert-file", &tls.cert_file),
                                   std::pair("--trusted-ca-file", &tls.trusted_ca_file)}) {
    if (file->empty() || used) continue;
    config->warnings.push_back(Cat(flag, " has no effect: ", plain->text, " is without TLS; write ",
                                   plain->unix_socket ? "unixs://" : "https://"));
    break;  // one line says it
  }
}

absl::Status CheckFiles(const RawFlags& raw, Config* config) {
  TlsFiles& tls = config->tls;
  absl::Status parsed = ParseBool("client-cert-auth", raw.client_cert_auth, &tls.client_cert_auth);
  if (!parsed.ok()) return parsed;
  if (tls.cert_file.empty() != tls.key_file.empty()) {
    return Invalid("--cert-file and --key-file go together; ",
                   tls.cert_file.empty() ? "--cert-file" : "--key-file", " is missing");
  }
  for (const auto* urls : {&config->listen_client_urls, &config->listen_client_http_urls}) {
    for (const ListenUrl& url : *urls) {
      if (!url.tls || !tls.cert_file.empty()) continue;
      return Invalid(url.flag, ": ", url.text,
                     " needs a certificate; give --cert-file and --key-file");
    }
  }
  for (const ListenUrl& url : config->listen_metrics_urls) {
    if (url.tls && tls.cert_file.empty()) {
      return Invalid("--listen-metrics-urls: ", url.text,
                     ": client TLS key/cert (--cert-file, --key-file) must be provided for metrics "
                     "secure url");  // etcd's words
    }
  }
  if (tls.client_cert_auth && tls.trusted_ca_file.empty()) {
    return Invalid(
        "--client-cert-auth needs to know whose certificates to take; "
        "give --trusted-ca-file");
  }
  return absl::OkStatus();
}

// Who is let in.
absl::Status CheckPeers(const RawFlags& raw, Config* config) {
  TlsFiles& tls = config->tls;
  tls.allowed_hostnames = SplitCommas(raw.allowed_hostnames);
  tls.allowed_cns = SplitCommas(raw.allowed_cns);
  for (const auto& [flag, given] :
       {std::pair("--client-crl-file", !tls.crl_file.empty()),
        std::pair("--client-cert-allowed-hostname", !tls.allowed_hostnames.empty()),
        std::pair("--client-cert-allowed-cn", !tls.allowed_cns.empty())}) {
    if (!given || !tls.trusted_ca_file.empty()) continue;
    return Invalid(flag, " is about certificates of clients, which only --trusted-ca-file demands");
  }
  if (!tls.allowed_hostnames.empty() && !tls.allowed_cns.empty()) {
    return Invalid(
        "--client-cert-allowed-cn and --client-cert-allowed-hostname exclude each other");
  }
  return absl::OkStatus();
}

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

// A cipher of TLS 1.2 as OpenSSL names it, "" for one of 1.3, which is always there.
absl::StatusOr<std::string> CipherOf(const std::string& given) {
  // Two that Go, and so etcd, also knows by their first names.
  const bool shortened = given == "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305" ||
                         given == "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305";
  const std::string name = OPENSSL_cipher_name(Cat(given, shortened ? "_SHA256" : "").c_str());
  if (name.starts_with("TLS_")) return std::string();
  const std::unique_ptr<SSL_CTX, FreeContext> context(SSL_CTX_new(TLS_server_method()));
  const bool taken = context != nullptr && name != "(NONE)" &&
                     SSL_CTX_set_cipher_list(context.get(), name.c_str()) == 1;
  ERR_clear_error();
  if (taken) return name;
  return Invalid("--cipher-suites: \"", given,
                 "\" is none that jetd's TLS library takes; write names as "
                 "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
}

absl::Status CheckVersions(const RawFlags& raw, Config* config) {
  TlsFiles& tls = config->tls;
  for (const auto& [flag, version] : {std::pair("--tls-min-version", &raw.tls_min_version),
                                      std::pair("--tls-max-version", &raw.tls_max_version)}) {
    if (*version == "TLS1.2" || *version == "TLS1.3" || version->empty()) continue;
    return Invalid(flag, ": \"", *version, "\" is neither TLS1.2 nor TLS1.3");
  }
  if (raw.tls_min_version == "TLS1.3") tls.min_version = TlsVersion::k13;
  if (raw.tls_max_version == "TLS1.2") tls.max_version = TlsVersion::k12;
  if (tls.min_version > tls.max_version) {
    return Invalid("--tls-min-version is above --tls-max-version: no client could connect");
  }
  const std::vector<std::string> suites = SplitCommas(raw.cipher_suites);
  if (suites.empty()) return absl::OkStatus();
  if (tls.min_version == TlsVersion::k13) {
    return Invalid("--cipher-suites is about TLS1.2, which --tls-min-version rules out");
  }
  for (const std::string& suite : suites) {
    const auto cipher = CipherOf(suite);
    if (!cipher.ok()) return cipher.status();
    if (!cipher->empty()) CatTo(tls.ciphers, tls.ciphers.empty() ? "" : ":", *cipher);
  }
  if (!tls.ciphers.empty()) return absl::OkStatus();
  // All are of 1.3.
  if (tls.max_version == TlsVersion::k12) {
    return Invalid(
        "--cipher-suites names none of TLS1.2, the only one that --tls-max-version takes");
  }
  tls.min_version = TlsVersion::k13;
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadTls(const RawFlags& raw, Config* config) {
  for (auto check : {CheckFiles, CheckPeers, CheckVersions}) {
    if (auto status = check(raw, config); !status.ok()) return status;
  }
  WarnOfUnusedTls(config);
  return absl::OkStatus();
}

}  // namespace jetd::etcdapi
