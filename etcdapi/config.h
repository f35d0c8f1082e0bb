// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_CONFIG_H_
#define JETD_ETCDAPI_CONFIG_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/log.h"
#include "etcdapi/listen_url.h"
#include "etcdapi/request_check.h"

namespace jetd::etcdapi {

// How old a revision gets before it is compacted without being asked.
struct AutoCompaction {
  enum class Mode { kOff, kPeriodic, kRevision };
  Mode mode = Mode::kOff;
  std::chrono::nanoseconds period{0};  // kPeriodic: what is kept
  int64_t revisions = 0;               // kRevision: how many are kept
};

// Where the records go. Without `urls` jetd runs a nats-server of its own in the data directory.
struct NatsConfig {
  std::vector<std::string> urls;
  std::string creds_file, nkey_file, token_file, ca_file, cert_file, key_file;
  // Of kine's --endpoint; those in a URL of --nats-url stay in it.
  std::string user, password, token;
  std::string bucket = "etcd";
  std::string domain;
  std::string server_path;  // of the embedded one; empty: found in PATH
  int replicas = 1;
};

// What the command line and the environment say, checked.
struct Config {
  std::string name = "default";
  std::string data_dir;
  std::vector<ListenUrl> listen_client_urls;
  std::vector<std::string> advertise_client_urls;
  std::vector<ListenUrl> listen_metrics_urls;
  // If there are any, HTTP/1.1 is served there and not on listen_client_urls.
  std::vector<ListenUrl> listen_client_http_urls;
  bool extensive_metrics = false;  // how long calls take, too
  TlsFiles tls;
  RequestLimits limits{.max_request_bytes = limits::kMaxRequestBytes,
                       .max_txn_ops = limits::kMaxTxnOps};
  std::chrono::milliseconds keepalive_min_time{5'000};
  std::chrono::milliseconds keepalive_interval{2 * 60 * 60 * 1'000};
  std::chrono::milliseconds keepalive_timeout{20'000};
  std::chrono::milliseconds watch_progress_interval{limits::kWatchProgressInterval};
  // Between two comparisons of mirrors with the stream; 0: none.
  std::chrono::milliseconds mirror_audit_interval{10 * 60 * 1'000};
  // Requests that take as long are named in the log; 0: none.
  std::chrono::milliseconds slow_request{300};
  AutoCompaction compaction;
  uint64_t quota_backend_bytes = limits::kQuotaBackendBytes;  // UINT64_MAX: none
  // Memory for values; those beyond it are in files below data_dir. nullopt: all in memory.
  std::optional<size_t> value_cache_bytes;
  NatsConfig nats;
  log::Options log;
  // One line each, for the log: flags that have no effect here.
  std::vector<std::string> warnings;

  // Where HTTP has sockets of its own.
  [[nodiscard]] std::vector<ListenUrl> http_urls() const {
    std::vector<ListenUrl> urls = listen_metrics_urls;
    urls.insert(urls.end(), listen_client_http_urls.begin(), listen_client_http_urls.end());
    return urls;
  }
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_CONFIG_H_
