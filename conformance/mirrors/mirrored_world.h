// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_MIRRORS_MIRRORED_WORLD_H_
#define JETD_CONFORMANCE_MIRRORS_MIRRORED_WORLD_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "conformance/power/mount.h"
#include "conformance/relay/relay.h"
#include "etcdclient/testing/server_process.h"
#include "jetstream/nats_test_domains.h"
#include "replication/stream_source.h"

namespace jetd::conformance {

// A jetd on one JetStream domain, the mirror of its bucket in another, and a link between them that
// can be cut. One thread at a time, which outlives it (server_process.h).
class MirroredWorld {
 public:
  // Where the mirror's nats-server keeps its files: kForgetful can lose its power.
  enum class Disk { kPlain, kForgetful };
  // NotFound: there is no nats-server, or no FUSE for a forgetful disk.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<MirroredWorld>> Start(
      const std::string& program, Disk disk = Disk::kPlain);
  ~MirroredWorld();

  [[nodiscard]] Relay& link() { return *link_; }
  [[nodiscard]] jetstream::NatsTestDomains& domains() { return *domains_; }
  [[nodiscard]] etcdclient::ServerProcess& jetd() { return *jetd_; }
  // Kills jetd and starts it again. OK once it answers.
  [[nodiscard]] absl::Status RestartJetd();
  // The mirror's nats-server loses its power, and starts again on what a disk keeps then.
  [[nodiscard]] absl::Status CutPowerOfMirror(uint64_t seed);
  // Another jetd on this origin's server.
  [[nodiscard]] absl::StatusOr<std::unique_ptr<etcdclient::ServerProcess>> Serve(
      const std::string& bucket) const;

  [[nodiscard]] replication::StreamSource Origin() const;
  [[nodiscard]] replication::StreamSource Mirror() const;
  // Until the mirror is one, and has all that the origin has.
  [[nodiscard]] absl::Status WaitCopied() const;

 private:
  MirroredWorld() = default;
  [[nodiscard]] absl::Status MountDisk();

  std::string program_;
  std::unique_ptr<Relay> link_;
  std::unique_ptr<jetstream::NatsTestDomains> domains_;
  std::unique_ptr<power::Mount> disk_;  // of the leaf; null: a plain one
  std::unique_ptr<etcdclient::ServerProcess> jetd_;
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_MIRRORS_MIRRORED_WORLD_H_
