// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_DIFFERENTIAL_SIDE_H_
#define JETD_CONFORMANCE_DIFFERENTIAL_SIDE_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "conformance/differential/lease_map.h"
#include "conformance/differential/mutant.h"
#include "conformance/differential/step.h"
#include "conformance/differential/watch_log.h"
#include "etcdclient/client.h"

namespace jetd::conformance::differential {

// Side is one of the two servers, as the suite speaks to it: takes steps in the suite's words
// (lease ids that the suite knows) and gives answers in them, with what may differ between two
// servers taken out of the headers, after it was checked: cluster and member never change and are
// not 0.
//
// One thread at a time; its watch responses come on the client's.
class Side {
 public:
  struct Options {
    std::string endpoint;
    // RangeStream is there (jetd, etcd 3.7); otherwise Range is asked instead.
    bool has_range_stream = false;
    Mutant* mutant = nullptr;  // not owned
    std::chrono::milliseconds timeout{20'000};
  };

  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Side>> Connect(const Options& options);
  ~Side();

  [[nodiscard]] Answer Run(const Step& step);

  // Null if there is no such stream.
  [[nodiscard]] WatchLog* watch_log(int stream);
  // The first rule about headers or streams that the server broke, "" if none.
  [[nodiscard]] std::string violation() const;

 private:
  struct WatchStream;
  struct Runner;

  Side(const Options& options, std::unique_ptr<etcdclient::Client> client);

  [[nodiscard]] WatchLog::Deadline deadline() const;
  [[nodiscard]] WatchStream& OpenStream(int number);
  [[nodiscard]] Answer RunWatch(const WatchControl& control);
  [[nodiscard]] Answer RunProgress(const WatchProgress& call);
  [[nodiscard]] Answer RunExpiry(const AwaitExpiry& call);
  [[nodiscard]] Answer RunKeepAlive(const pb::LeaseKeepAliveRequest& request);
  [[nodiscard]] Answer RunRangeStream(const pb::RangeRequest& request);
  // Checks and clears what is a server's own in the header of a message. Any thread.
  void TakeHeader(google::protobuf::Message& message);
  void Violated(const std::string& what);

  const Options options_;
  std::unique_ptr<etcdclient::Client> client_;
  std::unique_ptr<etcdclient::KeepAliveStream> keep_alive_;
  std::map<int, std::unique_ptr<WatchStream>> streams_;
  LeaseMap leases_;
  mutable Mutex mutex_;
  uint64_t cluster_id_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t member_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string violation_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace jetd::conformance::differential

#endif  // JETD_CONFORMANCE_DIFFERENTIAL_SIDE_H_
