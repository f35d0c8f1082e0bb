// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/tls_credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/grpc_security_constants.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/strings.h"

namespace jetd::etcdapi {
namespace {

// The first value of a property of a connection; "" if it has none.
std::string_view PropertyOf(const grpc_auth_context* context, const char* name) {
  grpc_auth_property_iterator it = grpc_auth_context_find_properties_by_name(context, name);
  const grpc_auth_property* property = grpc_auth_property_iterator_next(&it);
  return property == nullptr ? std::string_view()
                             : std::string_view(property->value, property->value_length);
}

// gRPC's C++ has no word for certificates that are fetched anew; its C has.
class FetchedCredentials final : public grpc::ServerCredentials {
 public:
  FetchedCredentials(const TlsFiles& files, std::shared_ptr<CertificateFiles> certificates,
                     std::shared_ptr<PeerCheck> peers)
      : certificates_(std::move(certificates)) {
    const auto demand = files.demands_certificates()
                            ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                            : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
    // Belongs to the credentials.
    auto* options =
        grpc_ssl_server_credentials_create_options_using_config_fetcher(demand, &Fetch, this);
    credentials_ = grpc_ssl_server_credentials_create_with_options(options);
    JETD_CHECK(credentials_ != nullptr) << "grpc_ssl_server_credentials_create_with_options";
    if (peers == nullptr) return;
    grpc_server_credentials_set_auth_metadata_processor(
        credentials_, {.process = &CheckCall,
                       .destroy = &ForgetPeers,
                       .state = new std::shared_ptr<PeerCheck>(std::move(peers))});
  }
  ~FetchedCredentials() override { grpc_server_credentials_release(credentials_); }
  FetchedCredentials(const FetchedCredentials&) = delete;
  FetchedCredentials& operator=(const FetchedCredentials&) = delete;

  void SetAuthMetadataProcessor(
      const std::shared_ptr<grpc::AuthMetadataProcessor>& /*processor*/) override {
    JETD_CHECK(false) << "these have their own";
  }

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  // gRPC calls it when the port is added and for each connection, one after the other.
  static grpc_ssl_certificate_config_reload_status Fetch(
      void* self, grpc_ssl_server_certificate_config** config) {
    auto* const credentials = static_cast<FetchedCredentials*>(self);
    auto current = credentials->certificates_->Current();
    if (current == credentials->given_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    const grpc_ssl_pem_key_cert_pair pair = {current->key.c_str(), current->cert.c_str()};
    // It insists on roots; where no client is asked for a certificate, nothing reads them.
    const std::string& roots = current->ca.empty() ? current->cert : current->ca;
    *config = grpc_ssl_server_certificate_config_create(roots.c_str(), &pair, 1);
    credentials->given_ = std::move(current);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  static void CheckCall(void* state, grpc_auth_context* context, const grpc_metadata* /*metadata*/,
                        size_t /*count*/, grpc_process_auth_metadata_done_cb done,
                        void* user_data) {
    auto& peers = *static_cast<std::shared_ptr<PeerCheck>*>(state);
    const absl::Status status =
        peers->CheckPem(PropertyOf(context, GRPC_X509_PEM_CERT_PROPERTY_NAME),
                        PropertyOf(context, GRPC_X509_PEM_CERT_CHAIN_PROPERTY_NAME));
    const std::string why(MessageOf(status));
    done(user_data, nullptr, 0, nullptr, 0,
         status.ok() ? GRPC_STATUS_OK : GRPC_STATUS_UNAUTHENTICATED,
         status.ok() ? nullptr : why.c_str());
  }
  static void ForgetPeers(void* state) { delete static_cast<std::shared_ptr<PeerCheck>*>(state); }

  const std::shared_ptr<CertificateFiles> certificates_;
  std::shared_ptr<const Certificates> given_;  // what gRPC has
  grpc_server_credentials* credentials_ = nullptr;
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> MakeTlsCredentials(
    const TlsFiles& files, std::shared_ptr<CertificateFiles> certificates,
    std::shared_ptr<PeerCheck> peers) {
  return std::make_shared<FetchedCredentials>(files, std::move(certificates), std::move(peers));
}

std::string CiphersFor(const TlsFiles& files) {
  return files.min_version == TlsVersion::k13 ? kNoCipherOf12 : files.ciphers;
}

void LimitTls(const TlsFiles& files) {
  const std::string ciphers = CiphersFor(files);
  if (!ciphers.empty()) setenv("GRPC_SSL_CIPHER_SUITES", ciphers.c_str(), /*overwrite=*/1);
}

}  // namespace jetd::etcdapi
