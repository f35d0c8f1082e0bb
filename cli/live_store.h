// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_LIVE_STORE_H_
#define JETD_CLI_LIVE_STORE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/types.h"
#include "etcdclient/client.h"
#include "replication/bucket_state.h"
#include "replication/key_selection.h"

namespace jetd::cli {

// A store that is served over etcd's API, by jetd, etcd or kine, as its clients see it. Everything
// blocks. One thread at a time; different objects are independent.
class LiveStore {
 public:
  struct Options {
    std::vector<std::string> endpoints;
    std::string ca_file{}, cert_file{}, key_file{};
    std::string user{}, password{};  // empty: it asks for none
    std::string prefix{};            // empty: all keys
  };
  // The first of the endpoints that answers. InvalidArgument: one that is none; NotFound: a file;
  // Unavailable: none answers, or none takes the user.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<LiveStore>> Connect(const Options& options);

  [[nodiscard]] etcdclient::Client* client() { return client_.get(); }
  [[nodiscard]] const std::string& endpoint() const { return endpoint_; }
  // Of a jetd it is ClusterIdOf (base/stable_id.h). 0: it has none (kine).
  [[nodiscard]] uint64_t cluster_id() const { return cluster_id_; }
  // The range of all keys, or of those with the prefix, as ReadKeys has found that the server takes
  // it; for a watch.
  [[nodiscard]] const replication::KeySelection::Range& everything() const { return everything_; }

  // Goes over to the next endpoint, and says anew who it is. REQUIRES: no stream of client() is
  // open. Another store that answers there is told from this one by what is asked next:
  // FailedPrecondition.
  [[nodiscard]] absl::Status Reconnect();

  // The newest revision, linearizable. Asks once.
  [[nodiscard]] absl::StatusOr<Revision> CurrentRevision();
  // How many keys everything() has now; 0: the server does not say. Asks once.
  [[nodiscard]] uint64_t CountKeys();
  // One key as it is now; null: it is not there. Asks once.
  [[nodiscard]] absl::StatusOr<revision::KvRef> Get(const std::string& key);
  // The seconds that a lease was granted for; 0: it is gone. Asks once.
  [[nodiscard]] absl::StatusOr<int64_t> LeaseTtl(LeaseId lease);

  struct ReadOptions {
    std::vector<replication::KeySelection::Range> ranges;
    Revision at{};  // 0: the newest
    std::function<void(uint64_t keys, uint64_t bytes)> progress{};
    const std::atomic<bool>* interrupted = nullptr;
  };
  // The keys at one revision, in pages, without leases; not mended. kine answers only ranges that
  // are a prefix: for all keys it is asked for those that begin with a slash, which is all it has.
  // While a server is away the others are asked, and it is waited for. REQUIRES: no stream of
  // client() is open.
  [[nodiscard]] absl::StatusOr<replication::BucketState> ReadKeys(const ReadOptions& options);

  // With the times that they were granted for. Where the server cannot tell them (kine), those of
  // `keys`: kine's lease ids are times in seconds. Otherwise as ReadKeys.
  [[nodiscard]] absl::StatusOr<std::vector<revision::Store::LeaseInfo>> ReadLeases(
      const std::vector<revision::KvRef>& keys);

 private:
  explicit LiveStore(const Options& options);
  // That it is the store that answered first.
  [[nodiscard]] absl::Status CheckStore(uint64_t cluster_id) const;
  // Connects to the current endpoint, and says who it is.
  [[nodiscard]] absl::Status Dial();
  // Tried again, elsewhere too, as long as it may pass.
  template <typename Request>
  [[nodiscard]] absl::StatusOr<etcdclient::ResponseOf<Request>> Ask(const Request& request);
  [[nodiscard]] absl::Status ReadRange(const ReadOptions& options,
                                       const replication::KeySelection::Range& range,
                                       replication::BucketState* state, uint64_t* bytes);

  const Options options_;
  size_t next_ = 0;  // of the endpoints
  std::string endpoint_;
  std::unique_ptr<etcdclient::Client> client_;
  uint64_t cluster_id_ = 0;
  replication::KeySelection::Range everything_;
};

// A key as etcd's API tells it, number `sub` of its revision's changes.
[[nodiscard]] revision::KvRef KvOf(const mvccpb::KeyValue& kv, uint32_t sub);

}  // namespace jetd::cli

#endif  // JETD_CLI_LIVE_STORE_H_
