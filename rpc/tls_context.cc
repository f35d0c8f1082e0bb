// SPDX-License-Identifier: Apache-2.0
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "base/log_fields.h"
#include "base/strings.h"
#include "rpc/tls_wire.h"

namespace jetd::rpc {
namespace {

absl::Status Unusable(std::string_view what) {
  ERR_clear_error();
  return MakeStatus(absl::StatusCode::kFailedPrecondition, what, " cannot be used");
}

// What a server speaks, what it likes best first: gRPC's clients insist on HTTP/2 and offer nothing
// else, those of any other page offer both, and pages are HTTP/1.1's.
struct Known {
  const unsigned char* protocols;
  unsigned int size;
};
constexpr unsigned char kHttp1AndHttp2[] = "\x08http/1.1\x02h2";
constexpr unsigned char kHttp1[] = "\x08http/1.1";
constexpr Known kBoth{kHttp1AndHttp2, sizeof(kHttp1AndHttp2) - 1};
constexpr Known kHttp1Alone{kHttp1, sizeof(kHttp1) - 1};

// A client that offers nothing of it goes on without ALPN.
int ChooseProtocol(SSL* /*ssl*/, const unsigned char** out, unsigned char* out_size,
                   const unsigned char* offered, unsigned int offered_size, void* arg) {
  const auto* const known = static_cast<const Known*>(arg);
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, known->protocols, known->size, offered,
                            offered_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

struct FreePem {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
template <typename T>
using Owned = std::unique_ptr<T, FreePem>;

Owned<BIO> Over(const std::string& pem) {
  return Owned<BIO>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

std::vector<Owned<X509>> CertificatesIn(const std::string& pem) {
  const Owned<BIO> bio = Over(pem);
  std::vector<Owned<X509>> certificates;
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(next);
  }
  ERR_clear_error();
  return certificates;
}

absl::Status UseOwn(SSL_CTX* context, const TlsCertificates& own) {
  std::vector<Owned<X509>> chain = CertificatesIn(own.cert);
  if (chain.empty() || SSL_CTX_use_certificate(context, chain[0].get()) != 1) {
    return Unusable("the certificate");
  }
  for (size_t i = 1; i < chain.size(); ++i) {
    // The context owns what it takes.
    if (SSL_CTX_add0_chain_cert(context, chain[i].get()) == 1) (void)chain[i].release();
  }
  const Owned<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(Over(own.key).get(), nullptr, nullptr, nullptr));
  if (key == nullptr || SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    return Unusable("the key");
  }
  return absl::OkStatus();
}

// Asked for each certificate of a client's chain, its own last; of those that are good, that one is
// for the source to judge.
int LetIn(int good, X509_STORE_CTX* store) {
  if (good != 1 || X509_STORE_CTX_get_error_depth(store) != 0) return good;
  auto* const ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* const source = static_cast<TlsSource*>(SSL_get_app_data(ssl));
  // What the client has sent, not what was built of it: a root is nobody's to revoke.
  const absl::Status status =
      source->Check(X509_STORE_CTX_get_current_cert(store), X509_STORE_CTX_get0_untrusted(store));
  if (status.ok()) return 1;
  log::Warn("a connection is refused: {}{}", log::As("reason", MessageOf(status)),
            log::Event("client_refused"));
  X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

absl::Status UseCa(SSL_CTX* context, const std::string& ca) {
  const std::vector<Owned<X509>> roots = CertificatesIn(ca);
  if (roots.empty()) return Unusable("the clients' CA");
  for (const auto& root : roots) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), root.get());
    SSL_CTX_add_client_CA(context, root.get());
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, &LetIn);
  // A session that is resumed brings no chain to judge.
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(context, 0);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<SSL_CTX, FreeSsl>> MakeTlsContext(
    const TlsSource& source, const TlsCertificates& certificates, Protocols protocols) {
  std::unique_ptr<SSL_CTX, FreeSsl> context(SSL_CTX_new(TLS_server_method()));
  JETD_CHECK(context != nullptr) << "SSL_CTX_new";
  SSL_CTX_set_min_proto_version(
      context.get(), source.min_version() == TlsVersion::k13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_max_proto_version(
      context.get(), source.max_version() == TlsVersion::k13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  if (!source.ciphers().empty() &&
      SSL_CTX_set_cipher_list(context.get(), source.ciphers().c_str()) != 1) {
    return Unusable("the list of ciphers");
  }
  // Clients that come back resume by a ticket, which costs no memory here.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 1);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  // A record's head and body by one call to the system.
  SSL_CTX_set_read_ahead(context.get(), 1);
  const Known& known = protocols == Protocols::kHttp1 ? kHttp1Alone : kBoth;
  SSL_CTX_set_alpn_select_cb(context.get(), &ChooseProtocol, const_cast<Known*>(&known));
  if (auto status = UseOwn(context.get(), certificates); !status.ok()) return status;
  if (!certificates.ca.empty()) {
    if (auto status = UseCa(context.get(), certificates.ca); !status.ok()) return status;
  }
  return context;
}

}  // namespace jetd::rpc
