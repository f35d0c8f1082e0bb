// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_FANOUT_SUBSCRIBER_H_
#define JETD_CONFORMANCE_FANOUT_SUBSCRIBER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "etcdclient/client.h"

namespace jetd::conformance {

// Where group `group`'s keys are: a prefix that ends in '/'.
[[nodiscard]] std::string GroupPrefix(int group);

// Nanoseconds of the steady clock in a value, and back; 0 for a value that has none.
[[nodiscard]] std::string StampedValue(size_t size_bytes);
[[nodiscard]] int64_t StampOf(const std::string& value);
[[nodiscard]] int64_t SteadyNowNs();

// One connection with one watch stream and any number of watches on it, each on the prefix of one
// group. Notes the revision of every event of every watch, and how old the event was.
//
// Thread rules: made, closed and read by one thread; events come in on the client's.
class Subscriber {
 public:
  // Watch i of this connection follows group (first + i) % groups.
  struct Options {
    std::string endpoint;
    int first = 0;
    int watches = 10;
    int groups = 1;
  };

  explicit Subscriber(const Options& options);
  ~Subscriber();
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;

  // Any thread.
  [[nodiscard]] int created() const { return created_.load(); }
  [[nodiscard]] size_t events() const { return events_.load(); }
  [[nodiscard]] bool ended() const { return ended_.load(); }
  void Close();

  // After Close.
  [[nodiscard]] int GroupOf(int watch) const { return (options_.first + watch) % options_.groups; }
  [[nodiscard]] const std::vector<std::vector<int64_t>>& revisions() const { return revisions_; }
  [[nodiscard]] const std::vector<uint32_t>& ages_us() const { return ages_us_; }

 private:
  void Take(const etcdclient::pb::WatchResponse& response);

  const Options options_;
  std::atomic<int> created_{0};
  std::atomic<size_t> events_{0};
  std::atomic<bool> ended_{false};
  // The client's thread's, until Close.
  std::vector<std::vector<int64_t>> revisions_;  // by watch
  std::vector<uint32_t> ages_us_;
  std::unique_ptr<etcdclient::Client> client_;
  std::unique_ptr<etcdclient::WatchStream> stream_;
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_FANOUT_SUBSCRIBER_H_
