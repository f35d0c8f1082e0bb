// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nkey.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <cstdint>
#include <fstream>
#include <memory>
#include <sstream>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/pem_files.h"
#include "base/strings.h"

namespace jetd::jetstream {
namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr uint8_t kSeedPrefix = 18 << 3;  // 'S'
constexpr size_t kKeyBytes = 32;
constexpr size_t kCrcBytes = 2;
constexpr std::string_view kJwtStart = "eyJ";  // `{"`, in base64
using Bytes = std::vector<uint8_t>;

// CRC-16/XMODEM.
uint16_t Crc16(const uint8_t* data, size_t size) {
  uint16_t crc = 0;
  for (size_t i = 0; i < size; ++i) {
    crc = static_cast<uint16_t>(crc ^ (data[i] << 8));
    for (int bit = 0; bit < 8; ++bit) {
      crc = static_cast<uint16_t>((crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021 : crc << 1);
    }
  }
  return crc;
}

bool DecodeBase32(std::string_view text, Bytes& out) {
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return false;
    bits = bits << 5 | static_cast<uint32_t>(value);
    count += 5;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<uint8_t>(bits >> count));
    }
  }
  return true;
}

std::string EncodeBase32(const Bytes& data) {
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const uint8_t byte : data) {
    bits = bits << 8 | byte;
    count += 8;
    while (count >= 5) {
      count -= 5;
      out.push_back(kAlphabet[bits >> count & 31]);
    }
  }
  if (count > 0) out.push_back(kAlphabet[bits << (5 - count) & 31]);
  return out;
}

// The bytes, their sum behind them, in base32.
std::string WithCrc(Bytes bytes) {
  const uint16_t crc = Crc16(bytes.data(), bytes.size());
  bytes.push_back(static_cast<uint8_t>(crc & 0xff));
  bytes.push_back(static_cast<uint8_t>(crc >> 8));
  std::string text = EncodeBase32(bytes);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return text;
}

// The other way; empty if the sum or the size is wrong.
Bytes WithoutCrc(std::string_view text, size_t size) {
  Bytes raw;
  if (!DecodeBase32(text, raw) || raw.size() != size + kCrcBytes) return {};
  const uint16_t crc = Crc16(raw.data(), size);
  if (raw[size] != (crc & 0xff) || raw[size + 1] != crc >> 8) return {};
  raw.resize(size);
  return raw;
}

std::shared_ptr<EVP_PKEY> Own(EVP_PKEY* key) {
  JETD_CHECK(key != nullptr) << "OpenSSL has no Ed25519";
  return {key, &EVP_PKEY_free};
}

bool IsKind(uint8_t prefix) {
  return prefix == static_cast<uint8_t>(NkeyKind::kOperator) ||
         prefix == static_cast<uint8_t>(NkeyKind::kAccount) ||
         prefix == static_cast<uint8_t>(NkeyKind::kUser);
}

using DigestContext = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

absl::Status NoCredentials(const std::string& path, std::string_view missing) {
  return absl::InvalidArgumentError(
      Cat(path, " holds no ", missing, "; it is no credentials file"));
}

}  // namespace

NkeyPair::NkeyPair(NkeyKind kind, std::shared_ptr<evp_pkey_st> key)
    : kind_(kind), key_(std::move(key)) {
  Bytes bytes(1 + kKeyBytes);
  bytes[0] = static_cast<uint8_t>(kind);
  size_t size = kKeyBytes;
  JETD_CHECK(EVP_PKEY_get_raw_public_key(key_.get(), bytes.data() + 1, &size) == 1)
      << "an Ed25519 key without a public part";
  public_key_ = WithCrc(std::move(bytes));
}

NkeyPair NkeyPair::Generate(NkeyKind kind) {
  return {kind, Own(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"))};
}

absl::StatusOr<NkeyPair> NkeyPair::FromSeed(std::string_view seed) {
  Bytes raw = WithoutCrc(seed, 2 + kKeyBytes);
  if (raw.empty() || (raw[0] & 0xf8) != kSeedPrefix) {
    return absl::InvalidArgumentError("not an nkey seed");
  }
  const auto kind = static_cast<uint8_t>((raw[0] & 7) << 5 | raw[1] >> 3);
  if (!IsKind(kind)) {
    return absl::InvalidArgumentError("not an nkey seed of an operator, account or user");
  }
  auto key =
      Own(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw.data() + 2, kKeyBytes));
  OPENSSL_cleanse(raw.data(), raw.size());
  return NkeyPair(static_cast<NkeyKind>(kind), std::move(key));
}

std::string NkeyPair::Seed() const {
  const auto kind = static_cast<uint8_t>(kind_);
  Bytes bytes(2 + kKeyBytes);
  bytes[0] = static_cast<uint8_t>(kSeedPrefix | kind >> 5);
  bytes[1] = static_cast<uint8_t>((kind & 31) << 3);
  size_t size = kKeyBytes;
  JETD_CHECK(EVP_PKEY_get_raw_private_key(key_.get(), bytes.data() + 2, &size) == 1)
      << "an Ed25519 key without its secret";
  return WithCrc(std::move(bytes));
}

std::string NkeyPair::Sign(std::string_view message) const {
  const DigestContext context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  std::string signature(64, '\0');
  size_t size = signature.size();
  JETD_CHECK(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
             EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()),
                            &size, reinterpret_cast<const unsigned char*>(message.data()),
                            message.size()) == 1)
      << "Ed25519 does not sign";
  return signature;
}

bool VerifyNkey(std::string_view public_key, std::string_view message, std::string_view signature) {
  const Bytes raw = WithoutCrc(public_key, 1 + kKeyBytes);
  if (raw.empty() || !IsKind(raw[0])) return false;
  const auto key =
      Own(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw.data() + 1, kKeyBytes));
  const DigestContext context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  return EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
         EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()),
                          signature.size(), reinterpret_cast<const unsigned char*>(message.data()),
                          message.size()) == 1;
}

absl::StatusOr<std::string> PublicNkeyOfSeed(std::string_view seed) {
  auto key = NkeyPair::FromSeed(seed);
  if (!key.ok()) return key.status();
  return key->public_key();
}

absl::StatusOr<NkeyPair> ReadSeedFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(Cat("cannot read the nkey seed file ", path));
  std::string line;
  while (std::getline(file, line)) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (line.empty() || line.front() != 'S') continue;
    auto key = NkeyPair::FromSeed(line);
    OPENSSL_cleanse(line.data(), line.size());
    if (!key.ok()) return MakeStatus(key.status().code(), path, ": ", MessageOf(key.status()));
    return key;
  }
  return absl::InvalidArgumentError(Cat(path, ": holds no nkey seed"));
}

absl::StatusOr<std::string> PublicNkeyOfFile(const std::string& path) {
  const auto key = ReadSeedFile(path);
  if (!key.ok()) return key.status();
  return key->public_key();
}

absl::StatusOr<UserCredentials> ReadCredsFile(const std::string& path) {
  auto text = ReadWholeFile(path);
  if (!text.ok()) return text.status();
  std::string jwt;
  absl::StatusOr<NkeyPair> key = absl::NotFoundError("");
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (jwt.empty() && line.starts_with(kJwtStart)) jwt = line;
    if (!key.ok()) key = NkeyPair::FromSeed(line);
    OPENSSL_cleanse(line.data(), line.size());
  }
  OPENSSL_cleanse(text->data(), text->size());
  if (key.ok()) return UserCredentials{std::move(jwt), *std::move(key)};
  return NoCredentials(path, "nkey seed");
}

absl::Status CheckCredsFile(const std::string& path) {
  const auto credentials = ReadCredsFile(path);
  if (!credentials.ok()) return credentials.status();
  return credentials->jwt.empty() ? NoCredentials(path, "user JWT") : absl::OkStatus();
}

}  // namespace jetd::jetstream
