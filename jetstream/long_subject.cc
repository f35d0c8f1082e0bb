// SPDX-License-Identifier: Apache-2.0
#include "jetstream/long_subject.h"

#include <openssl/evp.h>

#include <array>

#include "base/check.h"
#include "base/strings.h"

namespace jetd::jetstream {
namespace {

constexpr std::string_view kLongToken = "=long.";

}  // namespace

std::string ShortSubjectOf(std::string_view prefix, std::string_view subject) {
  std::array<char, 32> digest;
  JETD_CHECK(EVP_Digest(subject.data(), subject.size(),
                        reinterpret_cast<unsigned char*>(digest.data()), nullptr, EVP_sha256(),
                        nullptr) == 1)
      << "OpenSSL has no SHA-256";
  return Cat(prefix, kLongToken, HexOf(std::string_view(digest.data(), digest.size())));
}

std::string_view TrueSubjectOf(std::string_view prefix, std::string_view stored,
                               const NatsMessage& message) {
  if (stored.size() <= prefix.size() ||
      stored.compare(prefix.size(), kLongToken.size(), kLongToken) != 0) {
    return stored;
  }
  const std::string_view subject = message.Header(kSubjectHeader);
  return subject.empty() ? stored : subject;
}

}  // namespace jetd::jetstream
