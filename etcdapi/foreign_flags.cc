// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/foreign_flags.h"

#include <algorithm>
#include <array>

#include "base/strings.h"

namespace jetd::etcdapi {
namespace {

enum class Kind { kBool, kValue };

struct Foreign {
  std::string_view name;
  Kind kind;
  std::string_view reason;
  bool refused = false;
};

constexpr std::string_view kRaft = "jetd has no raft and no peers";
constexpr std::string_view kDisk = "the records are in JetStream";
constexpr std::string_view kPast = "jetd serves the v3 API only";
constexpr std::string_view kLater = "jetd does not do this yet";

constexpr std::array kForeign = {
    // Raft, peers, discovery.
    Foreign{"heartbeat-interval", Kind::kValue, kRaft},
    Foreign{"election-timeout", Kind::kValue, kRaft},
    Foreign{"initial-election-tick-advance", Kind::kBool, kRaft},
    Foreign{"listen-peer-urls", Kind::kValue, kRaft},
    Foreign{"initial-advertise-peer-urls", Kind::kValue, kRaft},
    Foreign{"initial-cluster", Kind::kValue, kRaft},
    Foreign{"initial-cluster-state", Kind::kValue, kRaft},
    Foreign{"initial-cluster-token", Kind::kValue, kRaft},
    Foreign{"discovery", Kind::kValue, kRaft},
    Foreign{"discovery-fallback", Kind::kValue, kRaft},
    Foreign{"discovery-proxy", Kind::kValue, kRaft},
    Foreign{"discovery-srv", Kind::kValue, kRaft},
    Foreign{"discovery-srv-name", Kind::kValue, kRaft},
    Foreign{"strict-reconfig-check", Kind::kBool, kRaft},
    Foreign{"pre-vote", Kind::kBool, kRaft},
    Foreign{"raft-read-timeout", Kind::kValue, kRaft},
    Foreign{"raft-write-timeout", Kind::kValue, kRaft},
    Foreign{"peer-cert-file", Kind::kValue, kRaft},
    Foreign{"peer-key-file", Kind::kValue, kRaft},
    Foreign{"peer-client-cert-auth", Kind::kBool, kRaft},
    Foreign{"peer-trusted-ca-file", Kind::kValue, kRaft},
    Foreign{"peer-cert-allowed-cn", Kind::kValue, kRaft},
    Foreign{"peer-cert-allowed-hostname", Kind::kValue, kRaft},
    Foreign{"peer-auto-tls", Kind::kBool, kRaft},
    Foreign{"peer-client-cert-file", Kind::kValue, kRaft},
    Foreign{"peer-client-key-file", Kind::kValue, kRaft},
    Foreign{"peer-crl-file", Kind::kValue, kRaft},
    Foreign{"client-cert-file", Kind::kValue, kRaft},
    Foreign{"client-key-file", Kind::kValue, kRaft},
    Foreign{"experimental-peer-skip-client-san-verification", Kind::kBool, kRaft},
    Foreign{"experimental-downgrade-check-time", Kind::kValue, kRaft},
    Foreign{"force-new-cluster", Kind::kBool, kRaft},
    Foreign{"feature-gates", Kind::kValue, kRaft},
    // Disks and bbolt.
    Foreign{"wal-dir", Kind::kValue, kDisk},
    Foreign{"snapshot-count", Kind::kValue, kDisk},
    Foreign{"experimental-snapshot-catchup-entries", Kind::kValue, kDisk},
    Foreign{"max-snapshots", Kind::kValue, kDisk},
    Foreign{"max-wals", Kind::kValue, kDisk},
    Foreign{"backend-bbolt-freelist-type", Kind::kValue, kDisk},
    Foreign{"backend-batch-interval", Kind::kValue, kDisk},
    Foreign{"backend-batch-limit", Kind::kValue, kDisk},
    Foreign{"experimental-initial-corrupt-check", Kind::kBool, kDisk},
    Foreign{"experimental-corrupt-check-time", Kind::kValue, kDisk},
    Foreign{"experimental-compact-hash-check-enabled", Kind::kBool, kDisk},
    Foreign{"experimental-compact-hash-check-time", Kind::kValue, kDisk},
    Foreign{"experimental-compaction-batch-limit", Kind::kValue, kDisk},
    Foreign{"experimental-compaction-sleep-interval", Kind::kValue, kDisk},
    Foreign{"experimental-enable-lease-checkpoint", Kind::kBool, kDisk},
    Foreign{"experimental-enable-lease-checkpoint-persist", Kind::kBool, kDisk},
    Foreign{"experimental-memory-mlock", Kind::kBool, kDisk},
    Foreign{"experimental-txn-mode-write-with-shared-buffer", Kind::kBool, kDisk},
    Foreign{"experimental-bootstrap-defrag-threshold-megabytes", Kind::kValue, kDisk},
    Foreign{"experimental-stop-grpc-service-on-defrag", Kind::kBool, kDisk},
    Foreign{"unsafe-no-fsync", Kind::kBool, kDisk},
    // The v2 API and its proxy.
    Foreign{"v2-deprecation", Kind::kValue, kPast},
    Foreign{"enable-grpc-gateway", Kind::kBool, kPast},
    Foreign{"proxy-failure-wait", Kind::kValue, kPast},
    Foreign{"proxy-refresh-interval", Kind::kValue, kPast},
    Foreign{"proxy-dial-timeout", Kind::kValue, kPast},
    Foreign{"proxy-write-timeout", Kind::kValue, kPast},
    Foreign{"proxy-read-timeout", Kind::kValue, kPast},
    // Logs, profiles, sockets.
    Foreign{"logger", Kind::kValue, "jetd has one logger"},
    Foreign{"log-outputs", Kind::kValue, "jetd logs to stderr"},
    Foreign{"enable-log-rotation", Kind::kBool, "jetd logs to stderr"},
    Foreign{"log-rotation-config-json", Kind::kValue, "jetd logs to stderr"},
    Foreign{"enable-pprof", Kind::kBool, "it is a tool for Go programs"},
    Foreign{"max-concurrent-streams", Kind::kValue, kLater},
    Foreign{"socket-reuse-port", Kind::kBool, kLater},
    Foreign{"socket-reuse-address", Kind::kBool, "jetd always does"},
    Foreign{"experimental-warning-apply-duration", Kind::kValue, kLater},
    Foreign{"experimental-enable-distributed-tracing", Kind::kBool, kLater},
    Foreign{"experimental-distributed-tracing-address", Kind::kValue, kLater},
    Foreign{"experimental-distributed-tracing-service-name", Kind::kValue, kLater},
    Foreign{"experimental-distributed-tracing-instance-id", Kind::kValue, kLater},
    Foreign{"experimental-distributed-tracing-sampling-rate", Kind::kValue, kLater},
    Foreign{"auth-token", Kind::kValue, kLater},
    Foreign{"auth-token-ttl", Kind::kValue, kLater},
    Foreign{"bcrypt-cost", Kind::kValue, kLater},
    Foreign{"cors", Kind::kValue, "jetd has no HTTP gateway"},
    Foreign{"host-whitelist", Kind::kValue, "jetd has no HTTP gateway"},
    Foreign{"self-signed-cert-validity", Kind::kValue, kLater},
    // Refused: leaving them out would weaken the server or hide a mistake.
    Foreign{"auto-tls", Kind::kBool, "give --cert-file and --key-file", true},
    Foreign{"enable-v2", Kind::kBool, kPast, true},
    Foreign{"experimental-enable-v2v3", Kind::kValue, kPast, true},
    Foreign{"proxy", Kind::kValue, kPast, true},
    Foreign{"config-file", Kind::kValue, "give flags, or variables JETD_…", true},
};

const Foreign* Find(std::string_view name) {
  const auto it = std::find_if(kForeign.begin(), kForeign.end(),
                               [name](const Foreign& flag) { return flag.name == name; });
  return it == kForeign.end() ? nullptr : &*it;
}

}  // namespace

absl::StatusOr<ForeignFlags> TakeForeignFlags(const std::vector<std::string>& arguments) {
  ForeignFlags result;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (!argument.starts_with("--")) {
      result.rest.push_back(arguments[i]);
      continue;
    }
    const size_t equals = argument.find('=');
    const Foreign* flag = Find(argument.substr(2, equals == argument.npos ? equals : equals - 2));
    if (flag == nullptr) {
      result.rest.push_back(arguments[i]);
      continue;
    }
    if (flag->refused) {
      return MakeStatus(absl::StatusCode::kInvalidArgument, "--", flag->name,
                        " of etcd is not supported: ", flag->reason);
    }
    result.warnings.push_back(Cat("--", flag->name, " has no effect: ", flag->reason));
    if (flag->kind == Kind::kValue && equals == argument.npos) ++i;
  }
  return result;
}

std::vector<std::string> ForeignFlagNames() {
  std::vector<std::string> names;
  for (const Foreign& flag : kForeign) names.emplace_back(flag.name);
  return names;
}

}  // namespace jetd::etcdapi
