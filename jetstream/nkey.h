// SPDX-License-Identifier: Apache-2.0
//
// NATS's keys ("nkeys"): Ed25519 keys in base32 with a type prefix and a CRC-16, as NATS's ADR-14
// and its nkeys document describe them. Any thread.
#ifndef JETD_JETSTREAM_NKEY_H_
#define JETD_JETSTREAM_NKEY_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct evp_pkey_st;

namespace jetd::jetstream {

// Whose key it is: the byte that begins the public key, and so its first letter, O, A or U.
enum class NkeyKind : uint8_t { kOperator = 14 << 3, kAccount = 0, kUser = 20 << 3 };

// A key with its secret. Copies share it.
class NkeyPair {
 public:
  [[nodiscard]] static NkeyPair Generate(NkeyKind kind);
  // "SO…", "SA…", "SU…". InvalidArgument, without the seed in it, for what is no seed.
  [[nodiscard]] static absl::StatusOr<NkeyPair> FromSeed(std::string_view seed);

  [[nodiscard]] NkeyKind kind() const { return kind_; }
  // "O…", "A…", "U…".
  [[nodiscard]] const std::string& public_key() const { return public_key_; }
  // The secret; whoever takes it keeps it from logs and lists.
  [[nodiscard]] std::string Seed() const;
  // 64 bytes.
  [[nodiscard]] std::string Sign(std::string_view message) const;

 private:
  NkeyPair(NkeyKind kind, std::shared_ptr<evp_pkey_st> key);

  NkeyKind kind_;
  std::shared_ptr<evp_pkey_st> key_;
  std::string public_key_;
};

// True if `signature` is that of the holder of `public_key` ("O…", "A…", "U…").
[[nodiscard]] bool VerifyNkey(std::string_view public_key, std::string_view message,
                              std::string_view signature);

// What a credentials file holds, as NATS's tools write it: a user's JWT and its key.
struct UserCredentials {
  std::string jwt;  // empty: by the key alone, as users of a static configuration are known
  NkeyPair key;
};
// Of a file with a seed alone too, so that where a unit or a manifest names one file it can be that
// of either kind of server. InvalidArgument: it is none, without any of what is in it.
[[nodiscard]] absl::StatusOr<UserCredentials> ReadCredsFile(const std::string& path);
// The key of the first line that begins with `S`.
[[nodiscard]] absl::StatusOr<NkeyPair> ReadSeedFile(const std::string& path);

// "SU…" to its public "U…". InvalidArgument, without the seed in it, for what is no seed.
[[nodiscard]] absl::StatusOr<std::string> PublicNkeyOfSeed(std::string_view seed);
// The same for a file whose first line that begins with `S` is the seed.
[[nodiscard]] absl::StatusOr<std::string> PublicNkeyOfFile(const std::string& path);
// OK if a file holds both a user's JWT and a seed, each on a line of its own, as NATS's tools write
// credentials. The error tells what is missing.
[[nodiscard]] absl::Status CheckCredsFile(const std::string& path);

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_NKEY_H_
