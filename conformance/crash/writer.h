// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_CRASH_WRITER_H_
#define JETD_CONFORMANCE_CRASH_WRITER_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "conformance/crash/op_log.h"
#include "etcdclient/client.h"

namespace jetd::conformance {

// A client that writes to keys of its own, one request after the other, without a pause: puts,
// deletes and transactions, now and then a linearizable read of one of its keys. It notes what it
// sent and what it was told. A read must show what the last answered write left, or what a write of
// unknown fate after it did.
//
// Thread rules: made, stopped and read by one thread; it has one of its own. `client` may be shared
// and outlives it.
class Writer {
 public:
  struct Options {
    int number = 0;
    uint64_t seed = 1;
    std::string prefix;  // its keys begin so
    int keys = 8;
    // Of its first write, and what its keys hold by then, where another one has written before it.
    int first_number = 0;
    std::map<std::string, std::string> known{};
    // One in so many values is long, and how long.
    uint64_t long_every = 50;
    size_t long_bytes = 30'000;
    // While the server is away: wait and go on, or end at the first write of unknown fate.
    enum class Away { kWait, kEnd };
    Away away = Away::kWait;
  };

  Writer(Options options, etcdclient::Client* client);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Answered writes so far; any thread.
  [[nodiscard]] size_t acked() const { return acked_.load(); }
  void Stop();

  // After Stop.
  [[nodiscard]] const std::vector<WriteOp>& ops() const { return ops_; }
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }
  [[nodiscard]] size_t reads() const { return reads_; }

 private:
  void Run();
  [[nodiscard]] WriteOp Plan();
  [[nodiscard]] KeyWrite PlanKey(const std::string& key, bool is_delete, int number);
  // Sends `op` and fills in how it went.
  void Write(WriteOp& op);
  absl::Status SendTxn(WriteOp& op);
  void Read();
  void Remember(const WriteOp& op);
  [[nodiscard]] std::string Key(size_t index) const;

  const Options options_;
  etcdclient::Client* const client_;
  const etcdclient::CallOptions call_options_;
  std::atomic<bool> stop_{false};
  std::atomic<size_t> acked_{0};
  // The thread's, until Stop.
  std::mt19937_64 random_;
  std::vector<WriteOp> ops_;
  std::vector<std::string> violations_;
  size_t reads_ = 0;
  int64_t revision_ = 0;  // newest that an answer named
  // What each key may hold now; "" for nothing.
  std::map<std::string, std::set<std::string>> possible_;
  std::thread thread_;
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_CRASH_WRITER_H_
