// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_TLS_SOURCE_H_
#define JETD_ETCDAPI_TLS_SOURCE_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "etcdapi/certificate_files.h"
#include "etcdapi/peer_check.h"
#include "etcdapi/tls_files.h"
#include "rpc/tls.h"

namespace jetd::etcdapi {

// What connections are made of, as the files and flags of TlsFiles say at that moment.
//
// Thread rules: one thread, after Open.
class FileTlsSource final : public rpc::TlsSource {
 public:
  // Reads the files; `whose` is for the log: whose connections are meant. FailedPrecondition with
  // the flag and the file.
  [[nodiscard]] static absl::StatusOr<std::shared_ptr<FileTlsSource>> Open(
      const TlsFiles& files, const std::string& whose);

  // Blocks on the disk.
  [[nodiscard]] std::shared_ptr<const rpc::TlsCertificates> Current() override {
    return certificates_->Current();
  }
  [[nodiscard]] absl::Status Check(X509* leaf, const STACK_OF(X509) * chain) override {
    return peers_ == nullptr ? absl::OkStatus() : peers_->Check(leaf, chain);
  }
  [[nodiscard]] absl::Status CheckCall(X509* leaf, const STACK_OF(X509) * chain) override {
    return peers_ == nullptr ? absl::OkStatus() : peers_->CheckCall(leaf, chain);
  }
  [[nodiscard]] rpc::TlsVersion max_version() const override { return files_.max_version; }
  [[nodiscard]] rpc::TlsVersion min_version() const override { return files_.min_version; }
  [[nodiscard]] const std::string& ciphers() const override { return files_.ciphers; }

 private:
  explicit FileTlsSource(const TlsFiles& files) : files_(files) {}

  const TlsFiles files_;
  std::shared_ptr<CertificateFiles> certificates_;
  std::shared_ptr<PeerCheck> peers_;
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_TLS_SOURCE_H_
