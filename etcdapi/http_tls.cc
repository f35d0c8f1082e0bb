// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/http_tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/log.h"
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

struct FreeOpenSsl {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
template <typename T>
using Owned = std::unique_ptr<T, FreeOpenSsl>;

std::vector<Owned<X509>> CertificatesIn(const std::string& pem) {
  const Owned<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::vector<Owned<X509>> certificates;
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(next);
  }
  ERR_clear_error();
  return certificates;
}

absl::Status UseOwn(SSL_CTX* context, const Certificates& own) {
  std::vector<Owned<X509>> chain = CertificatesIn(own.cert);
  if (chain.empty() || SSL_CTX_use_certificate(context, chain[0].get()) != 1) {
    return Wrong("--cert-file", "it cannot be used");
  }
  for (size_t i = 1; i < chain.size(); ++i) {
    // Taken over by the context if it succeeds.
    if (SSL_CTX_add0_chain_cert(context, chain[i].get()) == 1) (void)chain[i].release();
  }
  const Owned<BIO> bio(BIO_new_mem_buf(own.key.data(), static_cast<int>(own.key.size())));
  const Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  if (key == nullptr || SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    return Wrong("--key-file", "it cannot be used");
  }
  return absl::OkStatus();
}

// The chain was found good, or not, and is looked at once more at its end: the client's own.
int LetIn(int good, X509_STORE_CTX* store) {
  if (good != 1 || X509_STORE_CTX_get_error_depth(store) != 0) return good;
  const auto* const ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* const peers = static_cast<PeerCheck*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  if (peers == nullptr) return 1;
  const absl::Status status =
      peers->Check(X509_STORE_CTX_get_current_cert(store), X509_STORE_CTX_get0_chain(store));
  if (status.ok()) return 1;
  log::Warn("a connection for metrics is refused: {}", MessageOf(status));
  X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

absl::Status UseCa(SSL_CTX* context, const std::string& ca) {
  const std::vector<Owned<X509>> roots = CertificatesIn(ca);
  if (roots.empty()) return Wrong("--trusted-ca-file", "it cannot be used");
  for (const auto& root : roots) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), root.get());
    SSL_CTX_add_client_CA(context, root.get());
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, &LetIn);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SslContext> MakeSslContext(const TlsFiles& files, const Certificates& certificates,
                                          PeerCheck* peers) {
  SslContext context(SSL_CTX_new(TLS_server_method()));
  JETD_CHECK(context != nullptr) << "SSL_CTX_new";
  SSL_CTX_set_min_proto_version(
      context.get(), files.min_version == TlsVersion::k13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_max_proto_version(
      context.get(), files.max_version == TlsVersion::k13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  if (!files.ciphers.empty() &&
      SSL_CTX_set_cipher_list(context.get(), files.ciphers.c_str()) != 1) {
    return Wrong("--cipher-suites", "they cannot be used");
  }
  // One request a connection: nothing to resume.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_alpn_select_cb(context.get(), ChooseProtocol, nullptr);
  SSL_CTX_set_app_data(context.get(), peers);
  if (auto status = UseOwn(context.get(), certificates); !status.ok()) return status;
  if (!certificates.ca.empty()) {
    if (auto status = UseCa(context.get(), certificates.ca); !status.ok()) return status;
  }
  return context;
}

}  // namespace jetd::etcdapi
