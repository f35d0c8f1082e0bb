// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_MEMBERS_CLUSTER_H_
#define JETD_CONFORMANCE_MEMBERS_CLUSTER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "conformance/faults/nats_network.h"
#include "conformance/history/violations.h"
#include "etcdclient/testing/server_process.h"

namespace jetd::conformance {

// Several jetd on one bucket of an outside nats-server, or of three. One thread.
class Cluster {
 public:
  struct Options {
    etcdclient::ServerProcess::Options server;
    int members = 3;
    int nats_servers = 1;
    std::chrono::seconds patience{60};
  };
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Cluster>> Start(const Options& options);

  [[nodiscard]] size_t size() const { return members_.size(); }
  [[nodiscard]] etcdclient::ServerProcess& member(size_t i) { return *members_[i]; }
  [[nodiscard]] std::vector<std::string> endpoints() const;
  [[nodiscard]] NatsNetwork& network() { return *network_; }
  // One more member, of a name that there was not yet, on an empty folder. Does not wait for it.
  [[nodiscard]] absl::StatusOr<std::unique_ptr<etcdclient::ServerProcess>> StartAnother();

  // The member that leads, by what those that answer say: the newest term counts.
  [[nodiscard]] absl::StatusOr<size_t> FindLeader();
  // Until all that run answer linearizable reads and name one leader, and every member. What they
  // do not agree on in time is a violation.
  [[nodiscard]] absl::Status AwaitAgreement(history::Violations& violations);
  [[nodiscard]] absl::Status MoveLeader(size_t from, size_t to);
  [[nodiscard]] std::string LogTails() const;

 private:
  explicit Cluster(Options options) : options_(std::move(options)) {}
  struct View {
    uint64_t id = 0, leader = 0, term = 0;
    size_t listed = 0;
  };
  [[nodiscard]] absl::StatusOr<View> Ask(size_t i) const;

  const Options options_;
  size_t named_ = 0;
  std::unique_ptr<NatsNetwork> network_;
  std::vector<std::unique_ptr<etcdclient::ServerProcess>> members_;
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_MEMBERS_CLUSTER_H_
