// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/metrics_page.h"

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>
#include <prometheus/metric_type.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

#include "base/strings.h"

namespace jetd::etcdapi {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

// As Go's gRPC names them; a code is an index.
constexpr std::array<const char*, RpcTally::kCodes> kCodeNames = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

// Puts the page together.
class Page {
 public:
  template <typename Number>
  void Counter(const char* name, const char* help, Number value, Labels labels = {}) {
    Add(name, help, MetricType::Counter, std::move(labels)).counter.value =
        static_cast<double>(value);
  }
  template <typename Number>
  void Gauge(const char* name, const char* help, Number value, Labels labels = {}) {
    Add(name, help, MetricType::Gauge, std::move(labels)).gauge.value = static_cast<double>(value);
  }
  void Histogram(const char* name, const char* help, const DurationHistogram& histogram,
                 Labels labels = {}) {
    ClientMetric::Histogram& out =
        Add(name, help, MetricType::Histogram, std::move(labels)).histogram;
    for (size_t i = 0; i <= DurationHistogram::kBounds; ++i) {
      out.sample_count += histogram.in_bucket(i);
      const double bound = i < DurationHistogram::kBounds ? DurationHistogram::BoundSeconds(i)
                                                          : std::numeric_limits<double>::infinity();
      ClientMetric::Bucket bucket;
      bucket.cumulative_count = out.sample_count;
      bucket.upper_bound = bound;
      out.bucket.push_back(bucket);
    }
    out.sample_sum = histogram.sum_seconds();
  }
  [[nodiscard]] std::string Text() const {
    return prometheus::TextSerializer().Serialize(families_);
  }

 private:
  // Samples of one name come one after the other.
  ClientMetric& Add(const char* name, const char* help, MetricType type, Labels labels) {
    if (families_.empty() || families_.back().name != name) {
      families_.emplace_back();
      families_.back().name = name;
      families_.back().help = help;
      families_.back().type = type;
    }
    ClientMetric& metric = families_.back().metric.emplace_back();
    metric.label = std::move(labels);
    return metric;
  }

  std::vector<MetricFamily> families_;
};

bool Writes(const RpcFigures& rpc) {
  for (const char* name : {"Put", "DeleteRange", "Txn", "Compact", "LeaseGrant", "LeaseRevoke"}) {
    if (rpc.method == name) return true;
  }
  return false;
}

// Writes that were told they did not happen, or may not have.
uint64_t FailedWrites(const Figures& f) {
  constexpr size_t kUnavailable = 14;
  uint64_t failed = 0;
  for (const RpcFigures& rpc : f.rpcs) failed += Writes(rpc) ? rpc.handled[kUnavailable] : 0;
  return failed;
}

uint64_t StartedOf(const Figures& f, std::string_view method) {
  uint64_t started = 0;
  for (const RpcFigures& rpc : f.rpcs) started += rpc.method == method ? rpc.started : 0;
  return started;
}

void AddServer(const Figures& f, Page* page) {
  page->Gauge("etcd_cluster_version", "Which version is running. 1 for 'cluster_version' label.", 1,
              {{"cluster_version", f.cluster_version}});
  page->Gauge("etcd_server_version", "Level of etcd's API, as clients see it.", 1,
              {{"server_version", f.server_version}});
  page->Gauge("jetd_version_info", "Version of jetd, of its nats-server, and of the API.", 1,
              {{"api_version", f.server_version},
               {"nats_server_version", f.log.server_version},
               {"version", f.jetd_version}});
  page->Gauge("jetd_bucket_info", "Whose store this is.", 1, {{"bucket", f.log.bucket}});
  page->Gauge("etcd_server_id", "This member's id.", 1, {{"server_id", f.member_id}});
  page->Gauge("etcd_server_has_leader", "1 if there is a leader, 0 if not.", f.has_leader ? 1 : 0);
  page->Gauge("etcd_server_is_leader", "1 if this member leads, 0 if not.", f.is_leader ? 1 : 0);
  page->Gauge("etcd_server_is_learner", "Always 0: there are no learners.", 0);
  page->Counter("etcd_server_leader_changes_seen_total", "Changes of the leader seen.",
                f.leader_changes);
  page->Counter("etcd_server_learner_promote_successes", "Always 0: there are no learners.", 0);
  page->Counter("etcd_server_heartbeat_send_failures_total", "Always 0: there are no heartbeats.",
                0);
  page->Gauge("etcd_server_snapshot_apply_in_progress_total", "Always 0: there are no snapshots.",
              0);
  page->Gauge("etcd_server_proposals_committed_total",
              "Newest record of the stream that is committed.", f.raft_index);
  page->Gauge("etcd_server_proposals_applied_total", "Newest record of the stream that is applied.",
              f.raft_index);
  page->Gauge("etcd_server_proposals_pending", "Writes that wait for their place or their ack.",
              f.committer.queued + f.committer.pending);
  page->Counter("etcd_server_proposals_failed_total", "Writes answered with Unavailable.",
                FailedWrites(f));
  page->Counter("etcd_server_slow_apply_total",
                "Commits that took more than 100 ms, of those that were timed.", f.timings.slow);
  // No quota is one that is never reached: with 0 etcd's alerts would say that it is.
  page->Gauge("etcd_server_quota_backend_bytes", "Bytes that the store may have.",
              f.quota_bytes > 0 ? static_cast<double>(f.quota_bytes)
                                : std::numeric_limits<double>::infinity());
  page->Counter("etcd_server_health_success", "Health checks (/health) that succeeded.",
                f.health.health_ok);
  page->Counter("etcd_server_health_failures", "Health checks (/health) that failed.",
                f.health.health_failed);
  for (const auto& [check, outcome] : f.health.checks) {
    page->Gauge("etcd_server_healthcheck", "Result of each check the last time.",
                outcome.ok ? 1 : 0, {{"name", check.second}, {"type", check.first}});
  }
  for (const auto& [check, outcome] : f.health.checks) {
    for (const auto& [status, count] :
         {std::pair("success", outcome.succeeded), std::pair("error", outcome.failed)}) {
      if (count == 0) continue;
      page->Counter("etcd_server_healthchecks_total", "Results of each check.", count,
                    {{"name", check.second}, {"status", status}, {"type", check.first}});
    }
  }
  for (const char* alarm : {"NOSPACE", "CORRUPT"}) {
    const bool raised = std::find(f.alarms.begin(), f.alarms.end(), alarm) != f.alarms.end();
    page->Gauge("jetd_alarm", "1 if the alarm is raised.", raised ? 1 : 0, {{"type", alarm}});
  }
}

void AddStore(const Figures& f, Page* page) {
  // What the quota is compared with, so that etcd's alerts say when it is near; none of it could be
  // had back by a defragmentation.
  page->Gauge("etcd_mvcc_db_total_size_in_bytes", "Bytes of the versions that are held.",
              f.store.bytes);
  page->Gauge("etcd_mvcc_db_total_size_in_use_in_bytes", "Bytes of the versions that are held.",
              f.store.bytes);
  page->Gauge("etcd_mvcc_db_open_read_transactions", "Reads that wait for a barrier.",
              f.committer.waiting_reads);
  page->Counter("etcd_mvcc_range_total", "Ranges read.", f.store.ranges);
  page->Counter("etcd_debugging_mvcc_range_total", "Ranges read.", f.store.ranges);
  page->Counter("etcd_mvcc_put_total", "Keys put.", f.puts);
  page->Counter("etcd_mvcc_delete_total", "Keys deleted.", f.deletes);
  page->Counter("etcd_mvcc_txn_total", "Transactions asked for.", StartedOf(f, "Txn"));
  page->Gauge("etcd_debugging_mvcc_keys_total", "Keys there are.", f.store.keys);
  page->Gauge("etcd_debugging_mvcc_current_revision", "The revision.", f.revision);
  page->Gauge("etcd_debugging_mvcc_compact_revision", "The newest compacted revision.",
              f.compacted);
  page->Gauge("etcd_debugging_mvcc_total_put_size_in_bytes", "Bytes of what was put.", f.put_bytes);
  page->Gauge("etcd_debugging_mvcc_db_compaction_last",
              "When the last compaction was, in seconds since 1970; 0: none since the start.",
              f.compacted_ms / 1000);
  page->Counter("etcd_debugging_mvcc_db_compaction_keys_total", "Records removed from the stream.",
                f.committer.garbage_removed);
  page->Gauge("etcd_disk_defrag_inflight", "Always 0: there is nothing to defragment.", 0);
  page->Gauge("jetd_store_versions", "Versions held, tombstones included.", f.store.versions);
  page->Gauge("jetd_store_cold_value_bytes", "Values that are in local files and not in memory.",
              f.store.cold_bytes);
  page->Gauge("jetd_store_value_file_bytes", "Size of those files.", f.store.file_bytes);
}

void AddWatches(const Figures& f, Page* page) {
  page->Gauge("etcd_debugging_mvcc_watch_stream_total", "Watch streams.", f.watches.streams);
  page->Gauge("etcd_debugging_mvcc_watcher_total", "Watches.", f.watches.watchers);
  page->Gauge("etcd_debugging_mvcc_slow_watcher_total", "Watches that are catching up.",
              f.watches.unsynced);
  page->Counter("etcd_debugging_mvcc_events_total", "Events sent.", f.watches.events_sent);
  page->Counter("jetd_watch_responses_total", "Responses that carried them.",
                f.watches.responses_sent);
  page->Counter("jetd_watch_seconds_total", "How long each watch was there, added up.",
                f.watches.watch_seconds);
  page->Gauge("jetd_watch_buffered_bytes", "Responses that clients have not taken yet.",
              f.watches.buffered_bytes);
  page->Counter("etcd_debugging_lease_granted_total", "Leases granted.", f.leases.granted);
  page->Counter("etcd_debugging_lease_revoked_total", "Leases revoked.", f.leases.revoked);
  page->Counter("etcd_debugging_lease_renewed_total", "Leases renewed.", f.leases.renewed);
  page->Counter("etcd_debugging_server_lease_expired_total", "Leases that ran out.",
                f.leases.expired);
  page->Gauge("jetd_leases", "Leases there are.", f.leases.leases);
}

// Hosts whose power has to fail at once for an answered write to be lost; 0: none does that.
int PowerCutsToLose(const Figures& f) { return f.log.synced ? 0 : f.log.replicas / 2 + 1; }

void AddLog(const Figures& f, Page* page) {
  const revision::Committer::Counters& c = f.committer;
  page->Histogram("etcd_disk_wal_fsync_duration_seconds",
                  f.syncs.has_value() ? "fdatasync of the stream's files."
                                      : "From sending a record to its ack (NATS elsewhere).",
                  f.syncs.has_value() ? *f.syncs : f.timings.acked);
  page->Histogram("etcd_disk_backend_commit_duration_seconds",
                  "From sending a record to its commit, sync included.", f.timings.durable);
  page->Histogram("jetd_append_ack_duration_seconds", "From sending a record to its ack.",
                  f.timings.acked);
  page->Histogram("jetd_barrier_duration_seconds", "A read's proof, there and back.",
                  f.timings.barrier);
  page->Counter("jetd_records_acked_total", "Records that landed in the stream.", c.records_acked);
  page->Counter("jetd_transactions_committed_total", "Transactions committed.", c.txns_committed);
  page->Counter("jetd_barriers_total", "Barriers sent.", c.barriers_sent);
  page->Counter("jetd_barrier_reads_total", "Reads that waited for one.", c.barriers_shared);
  page->Counter("jetd_chain_breaks_total", "Appends that did not land where they should.",
                c.chain_breaks);
  page->Counter("jetd_reconnects_total", "Connections to NATS that were made anew.", c.reconnects);
  page->Counter("jetd_void_records_total", "Records that were voided.", c.voids);
  page->Counter("jetd_foreign_records_total", "Records of somebody else's in the bucket.",
                c.foreign_records);
  page->Counter("jetd_meddlings_total", "Times that somebody else touched the stream.",
                c.meddlings);
  page->Counter("jetd_missing_records_total", "Records found gone that the store is made of.",
                c.missing_records);
  page->Gauge("jetd_replayed_records", "Records read at the start; few: from a checkpoint.",
              c.replayed_records);
  if (f.files_doubted.has_value()) {
    page->Gauge("jetd_stream_files_doubted",
                "1 once nats-server's files were not what was expected, and it was asked instead.",
                *f.files_doubted ? 1 : 0);
  }
  page->Gauge("jetd_queued_requests", "Requests that wait to be evaluated.", c.queued);
  page->Gauge("jetd_pending_transactions", "Evaluated and not committed.", c.pending);
  page->Gauge("jetd_in_flight_records", "Sent and not acked.", c.in_flight_records);
  page->Gauge("jetd_waiting_reads", "Reads that wait for a barrier.", c.waiting_reads);
  page->Gauge("jetd_garbage_waiting_records", "Records that are to be removed from the stream.",
              c.garbage_waiting);
  page->Gauge("jetd_garbage_held_records", "Of these, held back since a mirror has not got them.",
              c.garbage_held);
  page->Gauge("jetd_survey_running", "1 while a list of what lives is being made.",
              c.survey_running ? 1 : 0);
  page->Gauge("jetd_term", "The leadership term.", f.term);
  if (f.stream.has_value()) {
    page->Gauge("jetd_stream_records", "Records in the stream.", f.stream->messages);
    page->Gauge("jetd_stream_bytes", "Its size, with what is to be removed.", f.stream->bytes);
    page->Gauge("jetd_stream_last_sequence", "Its newest sequence.", f.stream->last.value());
  }
  page->Gauge("jetd_stream_replicas", "Replicas of the stream.", f.log.replicas);
  page->Gauge("jetd_power_cuts_to_lose_a_write",
              "Hosts whose power must fail at once for an answered write to be lost; 0: an answer "
              "waits for the sync.",
              PowerCutsToLose(f));
}

// What was compared, by the member that leads; of one that was never compared to its end no time.
void AddMirrorAudits(const Figures& f, Page* page) {
  using Audit = revision::MirrorAudit::State;
  const auto labels = [](const Audit& audit) -> Labels {
    return {{"domain", audit.domain}, {"mirror", audit.name}};
  };
  for (const Audit& audit : f.mirror_audits) {
    page->Gauge("jetd_mirror_verified_sequence",
                "All records up to here are the same in the mirror, of those that both have.",
                audit.verified.value(), labels(audit));
  }
  for (const Audit& audit : f.mirror_audits) {
    if (audit.verified_ms == 0) continue;
    page->Gauge("jetd_mirror_verified_timestamp_seconds",
                "When that was all that the mirror had, since 1970.",
                static_cast<double>(audit.verified_ms) / 1e3, labels(audit));
  }
  for (const Audit& audit : f.mirror_audits) {
    page->Counter("jetd_mirror_compared_records_total", "Records compared with the mirror's.",
                  audit.records, labels(audit));
  }
  for (const Audit& audit : f.mirror_audits) {
    page->Gauge("jetd_mirror_differences",
                "Records found to be others in the mirror, or missing; above 0 it is no copy.",
                audit.differences, labels(audit));
  }
}

// As the member that leads has found them last; a lag of one that was not heard is not known.
void AddMirrors(const Figures& f, Page* page) {
  using Fit = jetstream::MirrorState::Fit;
  const auto labels = [](const jetstream::MirrorState& mirror) -> Labels {
    return {{"domain", mirror.domain}, {"mirror", mirror.name}};
  };
  for (const jetstream::MirrorState& mirror : f.mirrors) {
    page->Gauge("jetd_mirror_up", "1 if the mirror answered when it was asked last.",
                mirror.fit == Fit::kUnheard ? 0 : 1, labels(mirror));
  }
  for (const jetstream::MirrorState& mirror : f.mirrors) {
    if (mirror.fit == Fit::kUnheard) continue;
    page->Gauge("jetd_mirror_fits", "1 if it copies this stream, 0 if what is there is no copy.",
                mirror.fit == Fit::kFits ? 1 : 0, labels(mirror));
  }
  for (const jetstream::MirrorState& mirror : f.mirrors) {
    if (mirror.fit != Fit::kFits) continue;
    page->Gauge("jetd_mirror_lag_records", "Sequences that the mirror is behind.",
                mirror.last.value() - mirror.reached.value(), labels(mirror));
  }
  for (const jetstream::MirrorState& mirror : f.mirrors) {
    if (mirror.fit != Fit::kFits) continue;
    page->Gauge("jetd_mirror_lag_seconds", "From its newest record to the stream's newest.",
                static_cast<double>(mirror.lag_ns) / 1e9, labels(mirror));
  }
  AddMirrorAudits(f, page);
  page->Counter("jetd_mirror_overtaken_records_total",
                "Records removed before all mirrors had them, which were past their cap.",
                f.committer.mirrors_overtaken);
}

Labels LabelsOf(const RpcFigures& rpc) {
  return {{"grpc_method", rpc.method}, {"grpc_service", rpc.service}, {"grpc_type", rpc.type}};
}

void AddRpcs(const Figures& f, Page* page) {
  uint64_t received = 0;
  uint64_t sent = 0;
  for (const RpcFigures& rpc : f.rpcs) {
    received += rpc.bytes_received;
    sent += rpc.bytes_sent;
  }
  page->Counter("etcd_network_client_grpc_received_bytes_total", "Bytes of messages received.",
                received);
  page->Counter("etcd_network_client_grpc_sent_bytes_total", "Bytes of messages sent.", sent);
  for (const RpcFigures& rpc : f.rpcs) {
    page->Counter("grpc_server_started_total", "RPCs started.", rpc.started, LabelsOf(rpc));
  }
  for (const RpcFigures& rpc : f.rpcs) {
    for (size_t code = 0; code < kCodeNames.size(); ++code) {
      Labels labels = LabelsOf(rpc);
      labels.insert(labels.begin(), ClientMetric::Label{"grpc_code", kCodeNames[code]});
      page->Counter("grpc_server_handled_total", "RPCs ended, by code.", rpc.handled[code],
                    std::move(labels));
    }
  }
  for (const RpcFigures& rpc : f.rpcs) {
    page->Counter("grpc_server_msg_received_total", "Messages received.", rpc.received,
                  LabelsOf(rpc));
  }
  for (const RpcFigures& rpc : f.rpcs) {
    page->Counter("grpc_server_msg_sent_total", "Messages sent.", rpc.sent, LabelsOf(rpc));
  }
  for (const RpcFigures& rpc : f.rpcs) {
    if (!rpc.seconds.has_value()) continue;
    page->Histogram("grpc_server_handling_seconds",
                    "From an RPC's arrival until its answer is with the transport.", *rpc.seconds,
                    LabelsOf(rpc));
  }
}

void AddProcess(const Figures& f, Page* page) {
  const ProcessFigures& p = f.process;
  page->Gauge("os_fd_used", "Open descriptors.", p.open_fds);
  page->Gauge("os_fd_limit", "How many may be open.", p.max_fds);
  page->Counter("process_cpu_seconds_total", "CPU time, user and system.", p.cpu_seconds);
  page->Gauge("process_open_fds", "Open descriptors.", p.open_fds);
  page->Gauge("process_max_fds", "How many may be open.", p.max_fds);
  page->Gauge("process_resident_memory_bytes", "Resident memory.", p.resident_bytes);
  page->Gauge("process_virtual_memory_bytes", "Virtual memory.", p.virtual_bytes);
  page->Gauge("process_virtual_memory_max_bytes", "How much there may be.", p.max_virtual_bytes);
  page->Gauge("process_start_time_seconds", "When it started, since 1970.", p.start_time_seconds);
  page->Gauge("process_threads", "Threads.", p.threads);
}

}  // namespace

RpcFigures FiguresOf(const RpcTally& tally) {
  RpcFigures figures;
  const google::protobuf::MethodDescriptor* method = tally.method;
  figures.service = method->service()->full_name();
  figures.method = method->name();
  figures.type = method->client_streaming()
                     ? (method->server_streaming() ? "bidi_stream" : "client_stream")
                     : (method->server_streaming() ? "server_stream" : "unary");
  figures.started = tally.started;
  figures.received = tally.messages_received;
  figures.sent = tally.messages_sent;
  figures.bytes_received = tally.bytes_received;
  figures.bytes_sent = tally.bytes_sent;
  if (tally.failed != nullptr) figures.handled = *tally.failed;
  figures.handled[0] = tally.ok;
  if (tally.seconds != nullptr) figures.seconds = *tally.seconds;
  return figures;
}

std::string MetricsPage(const Figures& figures) {
  Page page;
  for (auto* add :
       {&AddServer, &AddStore, &AddWatches, &AddLog, &AddMirrors, &AddRpcs, &AddProcess}) {
    add(figures, &page);
  }
  return page.Text();
}

}  // namespace jetd::etcdapi
