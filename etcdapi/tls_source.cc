// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/tls_source.h"

namespace jetd::etcdapi {

absl::StatusOr<std::shared_ptr<FileTlsSource>> FileTlsSource::Open(const TlsFiles& files,
                                                                   const std::string& whose) {
  std::shared_ptr<FileTlsSource> opened(new FileTlsSource(files));
  auto certificates = CertificateFiles::Open(files, whose);
  if (!certificates.ok()) return certificates.status();
  opened->certificates_ = *std::move(certificates);
  auto peers = PeerCheck::Open(files);
  if (!peers.ok()) return peers.status();
  opened->peers_ = *std::move(peers);
  return opened;
}

}  // namespace jetd::etcdapi
