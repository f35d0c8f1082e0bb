// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_LINKS_LINK_READING_H_
#define JETD_CONFORMANCE_LINKS_LINK_READING_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "conformance/relay/relay.h"
#include "jetstream/nats_test_domains.h"

namespace jetd::conformance {

// A bucket behind a slow link, to be read whole. Of two shapes: the link is the connection to the
// bucket's nats-server, or the leaf node's, and who reads is connected to the leaf.
class LinkReading {
 public:
  struct Options {
    enum class Link { kConnection, kLeafNode };
    Link link = Link::kConnection;
    uint64_t records = 0;
    size_t value_bytes = 1024;
    std::string nats_config{};  // of the bucket's nats-server; with kConnection
    std::chrono::milliseconds ping_interval{5'000};
  };
  struct Report {
    absl::Status status;
    uint64_t records = 0;
    double seconds = 0, cpu_seconds = 0;
    uint64_t bytes_down = 0, bytes_up = 0;  // on the link
  };

  // Writes the bucket. Null without JETD_NATS_SERVER.
  static std::unique_ptr<LinkReading> Prepare(const Options& options);

  // Through the link, at so many bytes a second; 0: as fast as it goes.
  [[nodiscard]] Report Read(size_t bytes_per_second);

 private:
  explicit LinkReading(const Options& options) : options_(options) {}

  const Options options_;
  std::unique_ptr<jetstream::NatsTestServer> server_;
  std::unique_ptr<Relay> link_;
  std::unique_ptr<jetstream::NatsTestDomains> domains_;
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_LINKS_LINK_READING_H_
