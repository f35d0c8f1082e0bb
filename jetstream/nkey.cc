// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nkey.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <fstream>
#include <memory>
#include <sstream>
#include <vector>

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

struct KeyDeleter {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

absl::Status NotASeed() { return absl::InvalidArgumentError("not an nkey seed"); }

}  // namespace

absl::StatusOr<std::string> PublicNkeyOfSeed(std::string_view seed) {
  Bytes raw;
  if (!DecodeBase32(seed, raw) || raw.size() != 2 + kKeyBytes + kCrcBytes) return NotASeed();
  const size_t body = raw.size() - kCrcBytes;
  const uint16_t crc = Crc16(raw.data(), body);
  const bool whole = raw[body] == (crc & 0xff) && raw[body + 1] == crc >> 8;
  if (!whole || (raw[0] & 0xf8) != kSeedPrefix) return NotASeed();

  const std::unique_ptr<EVP_PKEY, KeyDeleter> key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw.data() + 2, kKeyBytes));
  Bytes out = {static_cast<uint8_t>((raw[0] & 7) << 5 | raw[1] >> 3)};
  OPENSSL_cleanse(raw.data(), raw.size());
  std::array<uint8_t, kKeyBytes> public_key;
  size_t size = public_key.size();
  if (key == nullptr || EVP_PKEY_get_raw_public_key(key.get(), public_key.data(), &size) != 1) {
    return absl::InternalError("OpenSSL has no Ed25519");
  }
  out.insert(out.end(), public_key.begin(), public_key.end());
  const uint16_t out_crc = Crc16(out.data(), out.size());
  out.push_back(static_cast<uint8_t>(out_crc & 0xff));
  out.push_back(static_cast<uint8_t>(out_crc >> 8));
  return EncodeBase32(out);
}

absl::StatusOr<std::string> PublicNkeyOfFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(Cat("cannot read the nkey seed file ", path));
  std::string line;
  while (std::getline(file, line)) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (line.empty() || line.front() != 'S') continue;
    auto key = PublicNkeyOfSeed(line);
    OPENSSL_cleanse(line.data(), line.size());
    if (!key.ok()) return MakeStatus(key.status().code(), path, ": ", MessageOf(key.status()));
    return key;
  }
  return absl::InvalidArgumentError(Cat(path, ": holds no nkey seed"));
}

absl::Status CheckCredsFile(const std::string& path) {
  auto text = ReadWholeFile(path);
  if (!text.ok()) return text.status();
  bool jwt = false;
  bool seed = false;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    jwt = jwt || line.starts_with(kJwtStart);
    seed = seed || PublicNkeyOfSeed(line).ok();
    OPENSSL_cleanse(line.data(), line.size());
  }
  OPENSSL_cleanse(text->data(), text->size());
  if (jwt && seed) return absl::OkStatus();
  return absl::InvalidArgumentError(
      Cat(path, " holds no ", jwt ? "nkey seed" : "user JWT", "; it is no credentials file"));
}

}  // namespace jetd::jetstream
