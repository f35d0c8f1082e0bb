// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_STREAM_SOURCE_H_
#define JETD_REPLICATION_STREAM_SOURCE_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "jetstream/embedded_server.h"
#include "jetstream/nats_endpoint.h"
#include "jetstream/nats_log.h"
#include "replication/folder_copy.h"

namespace jetd::replication {

// Where a bucket is: on a nats-server that runs (`nats_urls`), or in the data folder of a jetd with
// a nats-server of its own (`data_dir`), which may run or not.
struct StreamSource {
  std::string bucket = "etcd";
  std::string data_dir{};
  std::string nats_server{};  // program, for the folder of a jetd that does not run
  std::vector<std::string> nats_urls{};
  jetstream::NatsCredentials credentials{};
  std::string domain{};
  // The stream's name; empty: the bucket's own. A mirror of the bucket has another one, or lives in
  // another domain.
  std::string stream{};
  // What subjects of the JetStream API begin with; empty: by `domain`.
  std::string api_prefix{};
  // What a nats-server is started on for a jetd that does not run. It is no reader: after an
  // unclean end it cuts off what it cannot read, drops or rewrites files, and makes its index anew,
  // as it would at jetd's next start. kCopy leaves the folder as it is, for the price of a copy
  // beside it, which is removed again (docs/adr/0022-a-check-works-on-a-copy.md).
  enum class Stopped { kInPlace, kCopy };
  Stopped stopped = Stopped::kInPlace;
  // kYes: in a data folder jetd alone writes, and syncs before it answers, so records behind a hole
  // were never answered as a rule (revision/replay.h, R7). kNo: whatever is missing is loss.
  enum class Exclusive { kYes, kNo };
  Exclusive exclusive = Exclusive::kYes;
  // No connection for so long: DeadlineExceeded.
  std::chrono::seconds connect_patience{30};
  // No end of the reading: likewise. 0: for ever.
  std::chrono::seconds patience{300};
  // Set by a signal's handler, say: Cancelled, and what was made is removed. Null: none.
  const std::atomic<bool>* interrupted = nullptr;
  // Called with how many transactions were read, for who shows it; by DumpStream alone, or what is
  // made of it.
  std::function<void(uint64_t transactions)> progress{};
};

// A source that can be connected to; what was started or copied for that goes with it. Any thread.
class OpenSource {
 public:
  // InvalidArgument: neither or both kinds of place, or no name of a bucket. NotFound: no such
  // folder. FailedPrecondition with one line for people: the rest.
  static absl::StatusOr<std::unique_ptr<OpenSource>> Open(const StreamSource& source);

  // For a log that only reads.
  [[nodiscard]] jetstream::NatsLogOptions LogOptions() const;
  // The folder whose `values/` may hold a checkpoint of the stream that may be used up; empty:
  // none.
  [[nodiscard]] const std::string& own_folder() const { return own_folder_; }
  // "a copy of /var/lib/jetd", for people.
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  OpenSource() = default;
  absl::Status OpenFolder(const StreamSource& source);
  absl::Status StartServer(const StreamSource& source, const std::string& folder);

  std::string bucket_, domain_, stream_, api_prefix_, name_, own_folder_;
  bool exclusive_ = false;
  jetstream::NatsEndpointFn endpoint_;
  std::unique_ptr<FolderCopy> copy_;
  std::unique_ptr<jetstream::EmbeddedServer> server_;  // ends before its folder goes
};

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_STREAM_SOURCE_H_
