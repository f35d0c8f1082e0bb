// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_FANOUT_PACED_WRITER_H_
#define JETD_CONFORMANCE_FANOUT_PACED_WRITER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "etcdclient/client.h"

namespace jetd::conformance {

// Writes to the groups in turn at a steady rate, many requests in flight, each value with the time
// of its sending. Notes the revision of every write, by group.
//
// Thread rules: one thread calls; answers come in on the client's.
class PacedWriter {
 public:
  struct Options {
    int groups = 1;
    int writes_per_second = 2000;
    size_t value_bytes = 256;
    // Beyond, it falls behind its rate rather than queue more.
    int max_in_flight = 256;
  };

  PacedWriter(const Options& options, etcdclient::Client* client);

  // Writes as many as are due in this time and waits for the answers, however long that takes. May
  // be called again.
  void WriteFor(std::chrono::milliseconds time);

  [[nodiscard]] size_t written() const;
  // By group, ascending.
  [[nodiscard]] std::vector<std::vector<int64_t>> Revisions() const;
  [[nodiscard]] std::vector<std::string> errors() const;

 private:
  void Write();

  const Options options_;
  etcdclient::Client* const client_;
  size_t sent_ = 0;

  mutable Mutex mutex_;
  CondVar answered_;
  int in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t written_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::vector<int64_t>> revisions_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> errors_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_FANOUT_PACED_WRITER_H_
