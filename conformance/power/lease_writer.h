// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_POWER_LEASE_WRITER_H_
#define JETD_CONFORMANCE_POWER_LEASE_WRITER_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "conformance/crash/op_log.h"
#include "etcdclient/client.h"

namespace jetd::conformance::power {

// A client that grants leases, puts keys under them and revokes most of them, one request after the
// other, until the first whose fate it does not know. It begins with leases that others left.
//
// Thread rules: made, stopped and read by one thread; it has one of its own. `client` outlives it.
class LeaseWriter {
 public:
  enum class Fate { kThere, kGone, kUnknown };
  // A lease and the keys that may be under it.
  using Leases = std::map<int64_t, std::vector<std::string>>;
  struct Options {
    int number = 0;
    uint64_t seed = 1;
    std::string prefix;    // its keys begin so
    int64_t first_id = 1;  // of its leases
    Leases left{};         // that are there, with keys that are there
    int first_number = 0;  // of its first write
  };

  LeaseWriter(Options options, etcdclient::Client* client);
  ~LeaseWriter();
  LeaseWriter(const LeaseWriter&) = delete;
  LeaseWriter& operator=(const LeaseWriter&) = delete;

  void Stop();

  // After Stop.
  [[nodiscard]] const std::vector<WriteOp>& ops() const { return ops_; }
  [[nodiscard]] const std::map<int64_t, Fate>& fates() const { return fates_; }
  [[nodiscard]] int64_t next_id() const { return next_id_; }
  // "<prefix><id>/", of the keys of a lease.
  [[nodiscard]] static std::string KeysOf(const std::string& prefix, int64_t id);

 private:
  void Run();
  // False: this is the end.
  bool Grant(int64_t id);
  bool Put(int64_t id, int key);
  bool Revoke(int64_t id, const std::vector<std::string>& keys);
  bool Note(WriteOp op, const absl::Status& status, int64_t revision);

  const Options options_;
  etcdclient::Client* const client_;
  std::atomic<bool> stop_{false};
  // The thread's, until Stop.
  std::mt19937_64 random_;
  std::vector<WriteOp> ops_;
  std::map<int64_t, Fate> fates_;
  int64_t next_id_;
  std::thread thread_;
};

}  // namespace jetd::conformance::power

#endif  // JETD_CONFORMANCE_POWER_LEASE_WRITER_H_
