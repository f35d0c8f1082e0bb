// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/certificate_files.h"

#include <utility>

#include "base/log.h"
#include "base/pem_files.h"
#include "base/strings.h"

namespace jetd::etcdapi {
namespace {

absl::Status Of(const char* flag, const absl::Status& status) {
  return MakeStatus(status.code(), flag, ": ", MessageOf(status));
}

}  // namespace

CertificateFiles::CertificateFiles(const TlsFiles& files, std::string whose)
    : cert_file_(files.cert_file),
      key_file_(files.key_file),
      ca_file_(files.trusted_ca_file),
      whose_(std::move(whose)) {}

absl::StatusOr<std::shared_ptr<CertificateFiles>> CertificateFiles::Open(const TlsFiles& files,
                                                                         const std::string& whose) {
  std::shared_ptr<CertificateFiles> opened(new CertificateFiles(files, whose));
  // Before they are read: what changes meanwhile is seen at the next look.
  const Stamps stamps = opened->Look();
  auto certificates = opened->Read();
  if (!certificates.ok()) return certificates.status();
  opened->Begin(stamps, *std::move(certificates));
  return opened;
}

void CertificateFiles::Begin(const Stamps& stamps, Certificates certificates) {
  MutexLock lock(mutex_);
  stamps_ = stamps;
  current_ = std::make_shared<const Certificates>(std::move(certificates));
}

CertificateFiles::Stamps CertificateFiles::Look() const {
  return {StampOf(cert_file_), StampOf(key_file_), StampOf(ca_file_)};
}

absl::StatusOr<Certificates> CertificateFiles::Read() const {
  Certificates read;
  auto cert = ReadCertificates(cert_file_);
  if (!cert.ok()) return Of("--cert-file", cert.status());
  auto key = ReadKeyOf(*cert, key_file_);
  if (!key.ok()) return Of("--key-file", key.status());
  read.cert = *std::move(cert);
  read.key = *std::move(key);
  if (!ca_file_.empty()) {
    auto ca = ReadCertificates(ca_file_);
    if (!ca.ok()) return Of("--trusted-ca-file", ca.status());
    read.ca = *std::move(ca);
  }
  return read;
}

std::shared_ptr<const Certificates> CertificateFiles::Current() {
  MutexLock lock(mutex_);
  const Stamps stamps = Look();
  if (stamps == stamps_) return current_;
  stamps_ = stamps;
  auto read = Read();
  if (!read.ok()) {
    log::Warn("changed certificate files are not taken over for {}, the ones before stay: {}",
              whose_, MessageOf(read.status()));
  } else if (*read != *current_) {
    current_ = std::make_shared<const Certificates>(*std::move(read));
    log::Info("changed certificate files are taken over for new connections of {}", whose_);
  }
  return current_;
}

}  // namespace jetd::etcdapi
