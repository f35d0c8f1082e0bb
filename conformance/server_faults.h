// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_SERVER_FAULTS_H_
#define JETD_CONFORMANCE_SERVER_FAULTS_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <random>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "etcdclient/testing/server_process.h"

namespace jetd::conformance {

// Whether an error of a write says for certain that it did not and will not happen. Texts of jetd;
// an error of the connection never is certain.
[[nodiscard]] bool IsRefusal(const absl::Status& status);

// Things that happen to a server and to the nats-server below it.
//
// Thread rules: those of ServerProcess. `server` outlives it.
class ServerFaults {
 public:
  // `patience`: no nats-server for so long is an error.
  ServerFaults(etcdclient::ServerProcess* server, uint64_t seed, std::chrono::seconds patience);

  // SIGKILL, now and then with everything below it, and a start on the same data.
  [[nodiscard]] absl::Status KillServer();
  // SIGKILL of the nats-server; one that was not killed before.
  [[nodiscard]] absl::Status KillNats();
  // SIGTERM, the end, and a start on the same data.
  [[nodiscard]] absl::Status StopServer();
  // SIGSTOP for so long, then SIGCONT; of both, of the server or its nats-server alone.
  void FreezeTree(std::chrono::milliseconds time);
  void FreezeServer(std::chrono::milliseconds time);
  [[nodiscard]] absl::Status FreezeNats(std::chrono::milliseconds time);
  // Its two halves: from the return of the first on no thread of the nats-server runs.
  [[nodiscard]] absl::Status SuspendNats();
  void ResumeNats();

 private:
  // A nats-server that is not `not_this`.
  [[nodiscard]] absl::StatusOr<pid_t> FindNats(pid_t not_this);

  etcdclient::ServerProcess* const server_;
  const std::chrono::seconds patience_;
  std::mt19937_64 random_;
  pid_t last_nats_ = -1;       // that was killed
  pid_t suspended_nats_ = -1;  // -1: none
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_SERVER_FAULTS_H_
