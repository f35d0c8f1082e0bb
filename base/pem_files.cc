// SPDX-License-Identifier: Apache-2.0
#include "base/pem_files.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/strings.h"

namespace jetd {
namespace {

// Far beyond any chain; a device that never ends is not read for ever.
constexpr size_t kMaxFileBytes = 4UL << 20;

struct OpenSslDeleter {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
template <typename T>
using Owned = std::unique_ptr<T, OpenSslDeleter>;

template <typename... Pieces>
absl::Status Wrong(const Pieces&... pieces) {
  ERR_clear_error();
  return MakeStatus(absl::StatusCode::kFailedPrecondition, pieces...);
}

Owned<X509> FirstCertificateOf(const std::string& pem) {
  const Owned<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return Owned<X509>(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

// Instead of asking at the terminal.
int NoPassphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*data*/) { return -1; }

}  // namespace

absl::StatusOr<std::string> ReadWholeFile(const std::string& path) {
  int fd = -1;
  do {
    fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  } while (fd < 0 && errno == EINTR);
  std::string text;
  ssize_t got = fd < 0 ? -1 : 1;
  while (got > 0 && text.size() <= kMaxFileBytes) {
    char buffer[4096];
    do {
      got = read(fd, buffer, sizeof(buffer));
    } while (got < 0 && errno == EINTR);
    if (got > 0) text.append(buffer, static_cast<size_t>(got));
  }
  const int error = errno;
  if (fd >= 0) close(fd);
  if (got < 0) return Wrong("cannot read ", path, ": ", std::string_view(std::strerror(error)));
  if (got > 0) return Wrong(path, " is larger than ", kMaxFileBytes, " bytes");
  return text;
}

absl::StatusOr<std::string> ReadCertificates(const std::string& path) {
  auto pem = ReadWholeFile(path);
  if (!pem.ok()) return pem;
  if (FirstCertificateOf(*pem) == nullptr) return Wrong(path, " holds no certificate in PEM");
  return pem;
}

absl::StatusOr<std::string> ReadKeyOf(const std::string& certificates, const std::string& path) {
  auto pem = ReadWholeFile(path);
  if (!pem.ok()) return pem;
  const Owned<BIO> bio(BIO_new_mem_buf(pem->data(), static_cast<int>(pem->size())));
  const Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, &NoPassphrase, nullptr));
  if (key == nullptr) {
    return Wrong(path, " holds no private key in PEM, or one with a passphrase, which is not read");
  }
  const Owned<X509> certificate = FirstCertificateOf(certificates);
  if (certificate == nullptr || X509_check_private_key(certificate.get(), key.get()) != 1) {
    return Wrong(path, " holds the key of another certificate");
  }
  return pem;
}

}  // namespace jetd
