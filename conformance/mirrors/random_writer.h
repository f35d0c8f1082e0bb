// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_MIRRORS_RANDOM_WRITER_H_
#define JETD_CONFORMANCE_MIRRORS_RANDOM_WRITER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "conformance/history/violations.h"
#include "conformance/mirrors/client_log.h"
#include "etcdclient/client.h"

namespace jetd::conformance {

// The only client of a store: puts, deletes, transactions, leases and compactions at random, one
// after the other, each noted in a log of its own. When a call fails it waits for the server and
// looks whether it has happened: by the store's revision, or for a lease by the list of leases.
//
// Run() blocks; its thread is the only one that may call anything else meanwhile but done().
class RandomWriter {
 public:
  struct Options {
    std::string endpoint{};
    size_t steps = 1000;
    size_t compactions = 3;
    size_t keys = 120;
    uint64_t seed = 1;
    // It waits before it goes further; null: it does not. Anybody may raise it.
    const std::atomic<size_t>* allowed = nullptr;
  };

  explicit RandomWriter(Options options) : options_(std::move(options)), random_(options_.seed) {}

  // Unavailable: the server did not come back within minutes.
  [[nodiscard]] absl::Status Run();
  // Steps done so far; any thread.
  [[nodiscard]] size_t done() const { return done_.load(); }

  [[nodiscard]] const ClientLog& log() const { return log_; }
  [[nodiscard]] ClientLog& log() { return log_; }
  // Whatever the answers said that a store must not say.
  [[nodiscard]] const history::Violations& violations() const { return violations_; }
  [[nodiscard]] int64_t compacted() const { return compacted_; }
  // Calls that failed, and those of them that had happened.
  [[nodiscard]] size_t failed() const { return failed_; }
  [[nodiscard]] size_t failed_and_happened() const { return failed_and_happened_; }

 private:
  [[nodiscard]] size_t Pick(size_t n) {
    return std::uniform_int_distribution<size_t>(0, n - 1)(random_);
  }
  [[nodiscard]] std::string AnyKey();
  [[nodiscard]] std::string AnyValue();
  [[nodiscard]] int64_t AnyLease();
  [[nodiscard]] ClientLog::Step AnyStep();
  [[nodiscard]] ClientLog::Step AnyTransaction();
  // The revision that the server answered with.
  [[nodiscard]] absl::StatusOr<int64_t> Ask(const ClientLog::Step& step);
  [[nodiscard]] absl::Status DoStep(ClientLog::Step step);
  [[nodiscard]] absl::StatusOr<bool> HasHappened(const ClientLog::Step& step);
  template <typename Request>
  [[nodiscard]] auto AskUntilAnswered(const Request& request);
  [[nodiscard]] absl::Status Compact();

  const Options options_;
  std::mt19937_64 random_;
  std::unique_ptr<etcdclient::Client> client_;
  ClientLog log_;
  history::Violations violations_;
  std::atomic<size_t> done_{0};
  uint64_t number_ = 0;  // of the last value
  int64_t last_lease_ = 0;
  int64_t compacted_ = 0;
  size_t failed_ = 0, failed_and_happened_ = 0;
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_MIRRORS_RANDOM_WRITER_H_
