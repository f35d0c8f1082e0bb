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
  };
  // The first of the endpoints that answers. InvalidArgument: one that is none; NotFound: a file;
  // Unavailable: none answers.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<LiveStore>> Connect(const Options& options);

  [[nodiscard]] etcdclient::Client* client() { return client_.get(); }
  [[nodiscard]] const std::string& endpoint() const { return endpoint_; }

  // What ReadKeys has found to be the range of all keys, for a watch.
  [[nodiscard]] const replication::KeySelection::Range& everything() const { return everything_; }

  // The newest revision, linearizable.
  [[nodiscard]] absl::StatusOr<Revision> CurrentRevision();

  struct ReadOptions {
    std::vector<replication::KeySelection::Range> ranges;
    Revision at{};  // 0: the newest
    std::function<void(uint64_t keys, uint64_t bytes)> progress{};
    const std::atomic<bool>* interrupted = nullptr;
  };
  // The keys at one revision, in pages, without leases; not mended. kine answers only ranges that
  // are a prefix: for all keys it is asked for those that begin with a slash, which is all it has.
  [[nodiscard]] absl::StatusOr<replication::BucketState> ReadKeys(const ReadOptions& options);

  // With the times that they were granted for. Where the server cannot tell them (kine), those of
  // `keys`: kine's lease ids are times in seconds.
  [[nodiscard]] absl::StatusOr<std::vector<revision::Store::LeaseInfo>> ReadLeases(
      const std::vector<revision::KvRef>& keys);

 private:
  LiveStore(std::string endpoint, std::unique_ptr<etcdclient::Client> client)
      : endpoint_(std::move(endpoint)), client_(std::move(client)) {}
  [[nodiscard]] absl::Status ReadRange(const ReadOptions& options,
                                       const replication::KeySelection::Range& range,
                                       replication::BucketState* state, uint64_t* bytes);
  [[nodiscard]] absl::StatusOr<etcdclient::pb::RangeResponse> ReadPage(
      const etcdclient::pb::RangeRequest& request);

  const std::string endpoint_;
  const std::unique_ptr<etcdclient::Client> client_;
  replication::KeySelection::Range everything_{std::string("\0", 1), std::string("\0", 1)};
};

// "a,b" as a and b.
[[nodiscard]] std::vector<std::string> SplitUrls(const std::string& text);

// A key as etcd's API tells it, number `sub` of its revision's changes.
[[nodiscard]] revision::KvRef KvOf(const mvccpb::KeyValue& kv, uint32_t sub);

}  // namespace jetd::cli

#endif  // JETD_CLI_LIVE_STORE_H_
