// SPDX-License-Identifier: Apache-2.0
#include "tenant/jwt.h"

#include <openssl/sha.h>

#include <utility>

#include "absl/strings/escaping.h"
#include "base/strings.h"
#include "nlohmann/json.hpp"

namespace jetd::tenant {
namespace {

using jetstream::NkeyPair;
using jetstream::Permissions;
using nlohmann::json;

constexpr int kVersion = 2;

std::string Encode(const std::string& bytes) { return absl::WebSafeBase64Escape(bytes); }

// Unique for what the claims say; nobody reads anything out of it.
std::string IdOf(const json& claims) {
  const std::string text = claims.dump();
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return HexOf(digest);
}

std::string Sign(const NkeyPair& signer, std::string_view subject, std::string_view name,
                 int64_t issued, json nats) {
  nats["version"] = kVersion;
  json claims = {{"iat", issued},
                 {"iss", signer.public_key()},
                 {"name", name},
                 {"sub", subject},
                 {"nats", std::move(nats)}};
  claims["jti"] = IdOf(claims);
  const json header = {{"typ", "JWT"}, {"alg", "ed25519-nkey"}};
  std::string text = Cat(Encode(header.dump()), ".", Encode(claims.dump()));
  CatTo(text, ".", Encode(signer.Sign(text)));
  return text;
}

json Allowed(const std::vector<std::string>& subjects) {
  // An empty list of what is allowed would allow all.
  if (subjects.empty()) return {{"deny", {">"}}};
  return {{"allow", subjects}};
}

json UserClaims() { return {{"type", "user"}, {"subs", -1}, {"data", -1}, {"payload", -1}}; }

}  // namespace

std::string OperatorJwt(const NkeyPair& key, std::string_view name, std::string_view system_account,
                        int64_t issued) {
  return Sign(key, key.public_key(), name, issued,
              {{"type", "operator"}, {"system_account", system_account}});
}

std::string AccountJwt(const NkeyPair& signer, std::string_view account, std::string_view name,
                       const AccountLimits& limits, int64_t issued, const Revocations& revoked) {
  const json numbers = {{"subs", -1},
                        {"data", -1},
                        {"payload", -1},
                        {"imports", 0},
                        {"exports", 0},
                        {"wildcards", false},
                        {"conn", limits.connections},
                        {"leaf", limits.leaf_connections},
                        {"mem_storage", 0},
                        {"disk_storage", limits.storage_bytes},
                        {"streams", limits.streams},
                        {"consumer", limits.consumers}};
  json claims = {{"type", "account"},
                 {"limits", numbers},
                 {"default_permissions", {{"pub", json::object()}, {"sub", json::object()}}}};
  if (!revoked.empty()) claims["revocations"] = revoked;
  return Sign(signer, account, name, issued, std::move(claims));
}

std::string UserJwt(const NkeyPair& account, std::string_view user, std::string_view name,
                    const Permissions& permissions, int64_t issued) {
  json claims = UserClaims();
  claims["pub"] = Allowed(permissions.publish);
  claims["sub"] = Allowed(permissions.subscribe);
  return Sign(account, user, name, issued, std::move(claims));
}

std::string UnboundUserJwt(const NkeyPair& account, std::string_view user, std::string_view name,
                           int64_t issued) {
  json claims = UserClaims();
  claims["pub"] = json::object();
  claims["sub"] = json::object();
  return Sign(account, user, name, issued, std::move(claims));
}

std::string DeletionJwt(const NkeyPair& signer, const std::vector<std::string>& accounts,
                        int64_t issued) {
  return Sign(signer, signer.public_key(), "", issued,
              {{"type", "generic"}, {"accounts", accounts}});
}

std::string CredentialsText(std::string_view user_jwt, const std::string& seed) {
  return Cat("-----BEGIN NATS USER JWT-----\n", user_jwt, "\n------END NATS USER JWT------\n\n",
             "-----BEGIN USER NKEY SEED-----\n", seed, "\n------END USER NKEY SEED------\n");
}

}  // namespace jetd::tenant
