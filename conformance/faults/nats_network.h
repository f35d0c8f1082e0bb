// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_FAULTS_NATS_NETWORK_H_
#define JETD_CONFORMANCE_FAULTS_NATS_NETWORK_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "conformance/relay/relay.h"
#include "jetstream/nats_test_server.h"
#include "nlohmann/json.hpp"

namespace jetd::conformance {

// One nats-server, or a cluster of three, with relays before each of them, one for every member of
// jetd, and two between any two of them. One thread, which lives as long as it.
class NatsNetwork {
 public:
  struct Options {
    int servers = 1;
    int members = 1;
    // Of one server: where its store is; empty: in its own folder.
    std::string store_dir{};
  };
  // NotFound without the program that JETD_NATS_SERVER names.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<NatsNetwork>> Start(const Options& options);
  ~NatsNetwork();
  NatsNetwork(const NatsNetwork&) = delete;
  NatsNetwork& operator=(const NatsNetwork&) = delete;

  [[nodiscard]] size_t size() const { return servers_.size(); }
  [[nodiscard]] jetstream::NatsTestServer& server(size_t i) { return *servers_[i]; }
  // Between a member and its servers, in their order.
  [[nodiscard]] const std::vector<std::unique_ptr<Relay>>& links(size_t member) const {
    return links_[member];
  }
  // As a member is given them, through the relays, comma-separated.
  [[nodiscard]] std::string relayed_urls(size_t member) const;
  // Past the relays.
  [[nodiscard]] std::vector<std::string> urls() const;

  // Cuts server i off from the others; `silent`: nobody is told, what is sent waits until Heal.
  enum class Split { kRefused, kSilent };
  void SplitOff(size_t i, Split how);
  void Heal();

  // Of the account that jetd uses, on one server; -1: any number.
  void LimitAccount(int64_t bytes);

  // The server that leads the stream, as server `asked` knows it. Unavailable if there is none.
  [[nodiscard]] absl::StatusOr<size_t> StreamLeader(const std::string& stream, size_t asked);
  // The same, asking all that run, until `patience` is over.
  [[nodiscard]] absl::StatusOr<size_t> FindStreamLeader(const std::string& stream,
                                                        std::chrono::milliseconds patience);
  // Asked again until then: it may have moved by itself meanwhile.
  [[nodiscard]] absl::Status StepDown(const std::string& stream,
                                      std::chrono::milliseconds patience);

 private:
  explicit NatsNetwork(Options options) : options_(std::move(options)) {}
  [[nodiscard]] absl::Status StartOne();
  [[nodiscard]] absl::Status StartCluster();
  [[nodiscard]] absl::Status AddLinks();
  [[nodiscard]] std::string AccountConfig(int64_t bytes) const;
  // Asks the JetStream API of server i; blocks.
  [[nodiscard]] absl::StatusOr<nlohmann::json> Ask(size_t i, const std::string& subject) const;

  struct Route {
    size_t from, to;
    std::unique_ptr<Relay> relay;
  };

  const Options options_;
  std::vector<Route> routes_;
  std::vector<std::unique_ptr<jetstream::NatsTestServer>> servers_;
  std::vector<std::vector<std::unique_ptr<Relay>>> links_;  // by member
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_FAULTS_NATS_NETWORK_H_
