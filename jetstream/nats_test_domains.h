// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_NATS_TEST_DOMAINS_H_
#define JETD_JETSTREAM_NATS_TEST_DOMAINS_H_

#include <functional>
#include <memory>
#include <string>

#include "jetstream/nats_test_server.h"

namespace jetd::jetstream {

// Two nats-servers for tests, each a JetStream domain of its own: a hub, and a leaf node that dials
// it. They share one account with JetStream, whose user everybody is who shows no credentials.
// Either one reaches the JetStream of the other under `$JS.<domain>.API`. Not thread-safe.
class NatsTestDomains {
 public:
  static constexpr char kHub[] = "hub";
  static constexpr char kLeaf[] = "dr";

  // Null without JETD_NATS_SERVER, so that the test can skip. `link` gets the port on which the hub
  // takes leaf nodes and says which one the leaf dials: that of a relay before it, say. Returns
  // once the leaf is connected, if it can be.
  static std::unique_ptr<NatsTestDomains> Start(const std::function<int(int hub_port)>& link =
                                                    [](int port) { return port; });

  [[nodiscard]] NatsTestServer& hub() { return *hub_; }
  [[nodiscard]] NatsTestServer& leaf() { return *leaf_; }

  // Returns once the hub reaches the leaf's JetStream. A server that was restarted answers its own
  // clients before it has found the other one again. Ends the test after a minute.
  void AwaitLeaf() const;

 private:
  NatsTestDomains() = default;

  std::unique_ptr<NatsTestServer> hub_, leaf_;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_NATS_TEST_DOMAINS_H_
