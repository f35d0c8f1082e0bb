// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/http_tls.h"

#include <string>
#include <string_view>

#include "base/check.h"
#include "base/pem_files.h"
#include "base/strings.h"

namespace jetd::etcdapi {
namespace {

absl::Status Wrong(const char* flag, std::string_view why) {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, flag, ": ", why);
}

// HTTP/1.1 is all there is. A client that offers nothing it knows goes on without ALPN.
int ChooseProtocol(SSL* /*ssl*/, const unsigned char** out, unsigned char* out_size,
                   const unsigned char* offered, unsigned int offered_size, void* /*unused*/) {
  static constexpr unsigned char kHttp11[] = "\x08http/1.1";
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kHttp11, sizeof(kHttp11) - 1, offered,
                            offered_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

absl::Status UseCa(SSL_CTX* context, const std::string& ca_file) {
  const auto ca = ReadCertificates(ca_file);
  if (!ca.ok()) return Wrong("--trusted-ca-file", MessageOf(ca.status()));
  STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(ca_file.c_str());
  if (names == nullptr || SSL_CTX_load_verify_locations(context, ca_file.c_str(), nullptr) != 1) {
    return Wrong("--trusted-ca-file", Cat("cannot use ", ca_file));
  }
  SSL_CTX_set_client_CA_list(context, names);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SslContext> MakeSslContext(const TlsFiles& files) {
  // They say in words what OpenSSL says with a number.
  const auto cert = ReadCertificates(files.cert_file);
  if (!cert.ok()) return Wrong("--cert-file", MessageOf(cert.status()));
  const auto key = ReadKeyOf(*cert, files.key_file);
  if (!key.ok()) return Wrong("--key-file", MessageOf(key.status()));
  SslContext context(SSL_CTX_new(TLS_server_method()));
  JETD_CHECK(context != nullptr) << "SSL_CTX_new";
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  // One request a connection: nothing to resume.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_alpn_select_cb(context.get(), ChooseProtocol, nullptr);
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.cert_file.c_str()) != 1) {
    return Wrong("--cert-file", Cat("cannot use ", files.cert_file));
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return Wrong("--key-file", Cat("cannot use ", files.key_file));
  }
  if (!files.trusted_ca_file.empty()) {
    if (auto status = UseCa(context.get(), files.trusted_ca_file); !status.ok()) return status;
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

}  // namespace jetd::etcdapi
