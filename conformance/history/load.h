// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_HISTORY_LOAD_H_
#define JETD_CONFORMANCE_HISTORY_LOAD_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "conformance/history/key_space.h"
#include "conformance/history/operation.h"
#include "etcdclient/client.h"

namespace jetd::conformance::history {

// Nanoseconds of the steady clock.
[[nodiscard]] int64_t SteadyNowNs();

// Clients that ask one thing after the other, each without a pause except after an error, and note
// what they asked and were answered. A few connections are shared by all.
//
// Thread rules: made and called by one thread; answers come in on the connections', and one of its
// own begins again after errors.
class Load {
 public:
  struct Options {
    std::vector<std::string> endpoints;  // connections take them in turn
    size_t clients = 64;
    size_t connections = 4;  // at least one for each endpoint
    // After an error a client waits so long, not to spin on a server that is away.
    std::chrono::milliseconds pause{10};
    uint64_t seed = 1;
  };

  // `keys` outlives it.
  Load(const Options& options, const KeySpace* keys);
  ~Load();
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  // So many operations more, then the clients stop.
  void Start(size_t operations);
  // So many operations have ended since Start, and all.
  [[nodiscard]] size_t ended() const { return ended_.load(); }
  [[nodiscard]] bool idle() const { return under_way_.load() == 0; }
  // No client begins anything more.
  void Stop() { left_ = 0; }

  // Once idle: all operations since the last call, by client.
  [[nodiscard]] std::vector<Operation> Take();
  // How operations that were not answered ended, and how often; any time.
  [[nodiscard]] std::map<std::string, size_t> errors() const;
  // Errors that no fault explains.
  [[nodiscard]] std::vector<std::string> strange_errors() const;

 private:
  class Worker;

  // Sends, now and then, what was put off after an error.
  void RunTicker();
  void Tick();
  // True, and one less left, if there is one left.
  bool TakeOne();
  void PutOff(Worker* worker);
  void NoteError(const Operation& operation, const absl::Status& status);

  const KeySpace* const keys_;
  const std::chrono::milliseconds pause_;
  std::atomic<int64_t> left_{0};
  std::atomic<size_t> ended_{0};
  std::atomic<size_t> under_way_{0};  // workers that are not done
  std::vector<std::unique_ptr<etcdclient::Client>> connections_;
  std::vector<std::unique_ptr<Worker>> workers_;

  mutable Mutex mutex_;
  std::multimap<int64_t, Worker*> put_off_ ABSL_GUARDED_BY(mutex_);  // by time
  std::map<std::string, size_t> errors_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> strange_errors_ ABSL_GUARDED_BY(mutex_);
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  CondVar close_;

  std::thread ticker_;
};

}  // namespace jetd::conformance::history

#endif  // JETD_CONFORMANCE_HISTORY_LOAD_H_
