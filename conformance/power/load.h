// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_POWER_LOAD_H_
#define JETD_CONFORMANCE_POWER_LOAD_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "conformance/crash/watch_follower.h"
#include "conformance/crash/writer.h"
#include "conformance/power/lease_writer.h"
#include "conformance/power/ledger.h"
#include "etcdclient/client.h"

namespace jetd::conformance::power {

// The clients of a run: writers and lease writers, which write from Begin until the first answer
// that does not come, and watchers, which see it through. Begin and End once for each power cut.
//
// Thread rules: one thread.
class Load {
 public:
  struct Options {
    std::string endpoint;
    uint64_t seed = 1;
    int writers = 16;
    int lease_writers = 2;
    int watchers = 2;
    uint64_t long_every = 12;
    size_t long_bytes = 250'000;
  };
  static constexpr char kPrefix[] = "/power/";

  explicit Load(Options options);

  // On a server that is ready and holds what `ledger` says.
  [[nodiscard]] absl::Status Begin(const Ledger& ledger);
  // Writes answered since Begin.
  [[nodiscard]] size_t acked() const;
  // Ends the writers; what they did is appended to `ops`, what they found wrong told to `ledger`.
  void End(std::vector<WriteOp>* ops, Ledger* ledger);

  // After End, on a server that is ready again: the leases that it names are those that must be
  // there. They are what the next Begin starts with.
  void CompareLeases(etcdclient::Client& client, Ledger* ledger);
  // Watchers that lived through it; Begin replaces them.
  [[nodiscard]] const std::vector<std::unique_ptr<WatchFollower>>& followers() const {
    return followers_;
  }

 private:
  [[nodiscard]] std::string LeasePrefix(int number) const;

  const Options options_;
  uint64_t rounds_ = 0;
  std::vector<int> next_number_;  // of each writer, lease writers last
  std::vector<int64_t> next_lease_;
  std::map<int64_t, LeaseWriter::Fate> leases_;
  std::vector<std::unique_ptr<etcdclient::Client>> clients_;
  std::vector<std::unique_ptr<Writer>> writers_;
  std::vector<std::unique_ptr<LeaseWriter>> lease_writers_;
  std::vector<std::unique_ptr<WatchFollower>> followers_;
};

}  // namespace jetd::conformance::power

#endif  // JETD_CONFORMANCE_POWER_LOAD_H_
