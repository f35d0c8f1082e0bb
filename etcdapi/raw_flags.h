// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_RAW_FLAGS_H_
#define JETD_ETCDAPI_RAW_FLAGS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "etcdapi/config.h"

namespace jetd::etcdapi {

// What stands on the command line, as text where there is something to be checked: the words for
// what is wrong are ours and not the parser's. The values here are the defaults.
struct RawFlags {
  Config config;
  std::string listen_client_urls = "http://127.0.0.1:2379";
  std::string advertise_client_urls, listen_metrics_urls, listen_client_http_urls, nats_urls;
  std::string client_cert_auth = "false", metrics = "basic";
  std::string allowed_hostnames, allowed_cns, cipher_suites;
  std::string tls_min_version = "TLS1.2", tls_max_version;
  std::string max_request_bytes, max_txn_ops, nats_replicas;  // set by the constructor
  std::string keepalive_min_time = "5s", keepalive_interval = "2h", keepalive_timeout = "20s";
  std::string progress_interval, experimental_progress_interval;  // empty: not given
  std::string slow_request, experimental_slow_request;            // likewise
  std::string mirror_audit_interval = "10m";
  std::string compaction_mode = "periodic", compaction_retention = "0";
  std::string quota_backend_bytes = "0";
  std::string value_cache_bytes;  // empty: what suits the kind of NATS
  std::string log_level = "info", log_format = "text";

  RawFlags();
};

// The parts between commas that are not empty.
[[nodiscard]] std::vector<std::string> SplitCommas(const std::string& text);

// The configuration, checked, with its warnings. InvalidArgument with one line that begins with the
// flag, "--max-txn-ops: …".
[[nodiscard]] absl::StatusOr<Config> ReadConfig(const RawFlags& raw);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_RAW_FLAGS_H_
