// SPDX-License-Identifier: Apache-2.0
#include "jetstream/long_subject.h"

#include <openssl/evp.h>

#include <array>

#include "base/check.h"
#include "base/strings.h"

namespace jetd::jetstream {
namespace {

constexpr std::string_view kLongToken = "=long.";

// Whether `stored` is a short subject in a long one's place.
bool IsShort(std::string_view prefix, std::string_view stored) {
  return stored.size() > prefix.size() &&
         stored.compare(prefix.size(), kLongToken.size(), kLongToken) == 0;
}

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
  if (!IsShort(prefix, stored)) return stored;
  return TrueSubjectOf(prefix, stored, message.Header(kSubjectHeader));
}

std::string_view TrueSubjectOf(std::string_view prefix, std::string_view stored,
                               std::string_view header) {
  return header.empty() || !IsShort(prefix, stored) ? stored : header;
}

}  // namespace jetd::jetstream
