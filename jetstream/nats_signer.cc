// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nats_signer.h"

#include <nats/nats.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/strings.h"

namespace jetd::jetstream {

// nats.c frees what it gets.
struct NatsSigner::Callbacks {
  static natsStatus Jwt(char** jwt, char** /*error*/, void* closure) {
    *jwt = strdup(static_cast<const NatsSigner*>(closure)->jwt_.c_str());
    return *jwt == nullptr ? NATS_NO_MEMORY : NATS_OK;
  }
  static natsStatus Sign(char** /*error*/, unsigned char** signature, int* size, const char* nonce,
                         void* closure) {
    *signature = nullptr;
    *size = 0;
    if (nonce == nullptr) return NATS_OK;  // the server asks nobody who they are
    auto* const signer = static_cast<NatsSigner*>(closure);
    const std::string made = signer->key_.Sign(nonce);
    if (made.front() == '\0') {
      signer->unlucky_ = true;
      return NATS_ERR;
    }
    *signature = static_cast<unsigned char*>(std::malloc(made.size()));
    if (*signature == nullptr) return NATS_NO_MEMORY;
    std::memcpy(*signature, made.data(), made.size());
    *size = static_cast<int>(made.size());
    return NATS_OK;
  }
};

NatsSigner::NatsSigner(std::string jwt, NkeyPair key)
    : jwt_(std::move(jwt)), key_(std::move(key)) {}

absl::StatusOr<std::unique_ptr<NatsSigner>> NatsSigner::FromCreds(const std::string& path) {
  auto credentials = ReadCredsFile(path);
  if (!credentials.ok()) return credentials.status();
  return std::unique_ptr<NatsSigner>(
      new NatsSigner(std::move(credentials->jwt), std::move(credentials->key)));
}

absl::StatusOr<std::unique_ptr<NatsSigner>> NatsSigner::FromSeed(const std::string& path) {
  auto key = ReadSeedFile(path);
  if (!key.ok()) return key.status();
  return std::unique_ptr<NatsSigner>(new NatsSigner("", *std::move(key)));
}

absl::Status NatsSigner::SetOn(__natsOptions* options) {
  const natsStatus status =
      jwt_.empty() ? natsOptions_SetNKey(options, key_.public_key().c_str(), &Callbacks::Sign, this)
                   : natsOptions_SetUserCredentialsCallbacks(options, &Callbacks::Jwt, this,
                                                             &Callbacks::Sign, this);
  if (status == NATS_OK) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kUnavailable, "NATS options: ", natsStatus_GetText(status));
}

}  // namespace jetd::jetstream
