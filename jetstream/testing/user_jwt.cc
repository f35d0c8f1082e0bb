// SPDX-License-Identifier: Apache-2.0
#include "jetstream/testing/user_jwt.h"

#include <openssl/evp.h>

#include <cstdint>
#include <ctime>
#include <string_view>

#include "base/strings.h"
#include "nlohmann/json.hpp"

namespace jetd::jetstream {
namespace {

std::string Base64Url(std::string_view data) {
  std::string out((data.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(data.data()),
                                   static_cast<int>(data.size()));
  out.resize(static_cast<size_t>(size));
  while (!out.empty() && out.back() == '=') out.pop_back();
  for (char& c : out) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return out;
}

std::string Jwt(const NkeyPair& issuer, const NkeyPair& subject, const nlohmann::json& nats) {
  const nlohmann::json header = {{"typ", "JWT"}, {"alg", "ed25519-nkey"}};
  const nlohmann::json claims = {
      {"jti", "T"},     {"iat", std::time(nullptr) - 60}, {"iss", issuer.public_key()},
      {"name", "test"}, {"sub", subject.public_key()},    {"nats", nats}};
  const std::string text = Cat(Base64Url(header.dump()), ".", Base64Url(claims.dump()));
  return Cat(text, ".", Base64Url(issuer.Sign(text)));
}

}  // namespace

std::string OperatorJwt(const NkeyPair& op) {
  return Jwt(op, op, {{"type", "operator"}, {"version", 2}});
}

std::string AccountJwt(const NkeyPair& op, const NkeyPair& account, AccountKind kind,
                       const std::string& revoked) {
  const int64_t storage = kind == AccountKind::kOrdinary ? -1 : 0;
  nlohmann::json nats = {{"type", "account"},
                         {"version", 2},
                         {"limits",
                          {{"subs", -1},
                           {"data", -1},
                           {"payload", -1},
                           {"imports", -1},
                           {"exports", -1},
                           {"wildcards", true},
                           {"conn", -1},
                           {"leaf", -1},
                           {"mem_storage", storage},
                           {"disk_storage", storage},
                           {"streams", storage},
                           {"consumer", storage}}}};
  if (!revoked.empty()) nats["revocations"] = {{revoked, std::time(nullptr)}};
  return Jwt(op, account, nats);
}

std::string CredsFile(const NkeyPair& account, const NkeyPair& user) {
  const nlohmann::json nothing = nlohmann::json::object();
  const std::string jwt = Jwt(account, user,
                              {{"type", "user"},
                               {"version", 2},
                               {"pub", nothing},
                               {"sub", nothing},
                               {"subs", -1},
                               {"data", -1},
                               {"payload", -1}});
  return Cat("-----BEGIN NATS USER JWT-----\n", jwt, "\n------END NATS USER JWT------\n\n",
             "-----BEGIN USER NKEY SEED-----\n", user.Seed(), "\n------END USER NKEY SEED------\n");
}

}  // namespace jetd::jetstream
