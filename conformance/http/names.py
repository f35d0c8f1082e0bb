# SPDX-License-Identifier: Apache-2.0
"""Names of metrics that others rely on, and those of etcd that jetd does not have."""

# What the alerts and the dashboard that etcd's project publishes ask for. Those about peers
# (etcd_network_peer_*) have samples in etcd only when there are some.
DASHBOARDS = (
    "etcd_server_has_leader",
    "etcd_server_leader_changes_seen_total",
    "etcd_server_proposals_failed_total",
    "etcd_server_proposals_pending",
    "etcd_server_proposals_committed_total",
    "etcd_server_proposals_applied_total",
    "etcd_server_quota_backend_bytes",
    "etcd_mvcc_db_total_size_in_bytes",
    "etcd_mvcc_db_total_size_in_use_in_bytes",
    "etcd_disk_wal_fsync_duration_seconds_bucket",
    "etcd_disk_backend_commit_duration_seconds_bucket",
    "etcd_network_client_grpc_received_bytes_total",
    "etcd_network_client_grpc_sent_bytes_total",
    "grpc_server_started_total",
    "grpc_server_handled_total",
    "grpc_server_handling_seconds_bucket",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_cpu_seconds_total",
)

# Patterns of whole names, and why.
ABSENT = (
    (r"go_.*", "is about Go's runtime"),
    (r"promhttp_.*", "is about a library's own requests"),
    (r"etcd_server_go_version", "is about Go"),
    (r"process_network_.*", "is of the whole host, not of the process"),
    (r"etcd_network_(active_peers|disconnected_peers.*|peer_.*|known_peers|snapshot_.*)",
     "there are no peers"),
    (r"etcd_snap(shot)?_.*|etcd_debugging_snap_.*", "there are no snapshots of raft"),
    (r"etcd_debugging_store_.*", "there is no v2 store"),
    (r"etcd_grpc_proxy_.*|etcd_debugging_grpc_proxy_.*", "there is no proxy"),
    (r"etcd_disk_backend_(defrag|snapshot)_duration_seconds", "nobody defragments, or streams"),
    (r"etcd_debugging_disk_backend_commit_(rebalance|spill|write)_duration_seconds",
     "is about bbolt"),
    (r"etcd_disk_wal_write_.*", "jetd writes no log of its own"),
    (r"etcd_mvcc_hash(_rev)?_duration_seconds", "is not counted yet"),
    (r"etcd_debugging_mvcc_(index|db)_compaction_.*_duration_milliseconds", "is not counted yet"),
    (r"etcd_debugging_mvcc_pending_events_total", "jetd counts bytes: jetd_watch_buffered_bytes"),
    (r"etcd_debugging_lease_ttl_total", "is not counted yet"),
    (r"etcd_debugging_auth_revision", "there are no users yet"),
    (r"etcd_server_apply_duration_seconds", "etcd_disk_backend_commit_duration_seconds says it"),
    (r"etcd_server_client_requests_total", "clients' versions are not looked at"),
    (r"etcd_server_learner_promote_failures", "there are no learners"),
    (r"etcd_server_(slow_)?read_indexes(_failed)?_total", "jetd_barrier_duration_seconds says it"),
)
