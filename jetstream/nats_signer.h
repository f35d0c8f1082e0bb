// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_NATS_SIGNER_H_
#define JETD_JETSTREAM_NATS_SIGNER_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "jetstream/nkey.h"

struct __natsOptions;  // NOLINT(bugprone-reserved-identifier): nats.c's name

namespace jetd::jetstream {

// Signs what a nats-server asks a user to sign, in nats.c's place. nats.c (3.4 and 3.10) takes a
// signature that begins with a zero byte, one of 256, for none, and sends none: the server then
// says "Authorization Violation" to a good key. Such a one is not sent, and the caller connects
// again, which asks for another one.
//
// Made for one connection, from files that are read then. Any thread calls it, one at a time.
class NatsSigner {
 public:
  // NotFound and InvalidArgument, without any of the secret.
  static absl::StatusOr<std::unique_ptr<NatsSigner>> FromCreds(const std::string& path);
  static absl::StatusOr<std::unique_ptr<NatsSigner>> FromSeed(const std::string& path);

  // This outlives all that is made with the options.
  [[nodiscard]] absl::Status SetOn(__natsOptions* options);
  // True, once, if connecting failed for such a signature.
  [[nodiscard]] bool TakeUnlucky() { return std::exchange(unlucky_, false); }

 private:
  struct Callbacks;

  NatsSigner(std::string jwt, NkeyPair key);

  const std::string jwt_;  // empty: by the key alone
  const NkeyPair key_;
  bool unlucky_ = false;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_NATS_SIGNER_H_
