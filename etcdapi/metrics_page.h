// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_METRICS_PAGE_H_
#define JETD_ETCDAPI_METRICS_PAGE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/duration_histogram.h"
#include "base/usage_record.h"
#include "etcdapi/health_checks.h"
#include "etcdapi/process_figures.h"
#include "etcdapi/rpc_tally.h"
#include "jetstream/log.h"
#include "lease/lessor.h"
#include "revision/committer.h"
#include "revision/store.h"
#include "watch/watch_hub.h"

namespace jetd::etcdapi {

// A copy of what was counted of one RPC.
struct RpcFigures {
  std::string service, method, type;
  uint64_t started = 0, received = 0, sent = 0, bytes_received = 0, bytes_sent = 0;
  std::array<uint64_t, RpcTally::kCodes> handled{};
  std::optional<DurationHistogram> seconds;
};
[[nodiscard]] RpcFigures FiguresOf(const RpcTally& tally);

// What of usage is older than the process (usage_keeper.h).
struct UsageFigures {
  std::string cluster_id;  // in hex; empty: not known yet
  UsageSample before;
  std::string folder;  // of its record; empty: it is not kept
  int64_t now_ms = 0;  // since 1970
};

// All that /metrics and /usage say, as plain values: copied on the engine thread, written
// elsewhere.
struct Figures {
  std::string server_version, cluster_version, jetd_version, member_id;
  bool has_leader = false, is_leader = false;
  uint64_t leader_changes = 0;
  uint64_t term = 0, raft_index = 0;
  int64_t revision = 0, compacted = 0, compacted_ms = 0;
  uint64_t puts = 0, deletes = 0, put_bytes = 0;
  // nullopt: NATS has not said yet.
  std::optional<jetstream::StreamState> stream;
  int64_t quota_bytes = 0;  // 0: none
  std::vector<std::string> alarms;
  revision::Committer::Counters committer;
  std::vector<jetstream::MirrorState> mirrors;  // as they were looked at last
  std::vector<revision::MirrorAudit::State> mirror_audits;
  revision::Committer::Timings timings;
  std::optional<DurationHistogram> syncs;  // jetd's own, of an embedded server's files
  std::optional<bool> files_doubted;       // those were not what was expected
  revision::Store::Stats store;
  watch::WatchHub::Stats watches;
  lease::Lessor::Stats leases;
  jetstream::LogInfo log;
  std::vector<RpcFigures> rpcs;
  HealthChecks::Counts health;
  ProcessFigures process;
  UsageFigures usage;
};

// The page in Prometheus' text format, with etcd's names where etcd has one. Any thread; takes
// milliseconds.
[[nodiscard]] std::string MetricsPage(const Figures& figures);

inline constexpr char kMetricsContentType[] = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_METRICS_PAGE_H_
