// SPDX-License-Identifier: Apache-2.0
//
// Every bound in jetd, with its unit, its source and what happens when it is reached. Flags change
// some of them; then this is the default.
#ifndef JETD_BASE_LIMITS_H_
#define JETD_BASE_LIMITS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace jetd::limits {

// --- Requests (etcd's defaults) -------------------------------------------------------------
// A request's encoded size. Beyond: InvalidArgument "etcdserver: request is too large".
inline constexpr size_t kMaxRequestBytes = 1536UL * 1024;
// What gRPC accepts above that, so that the error is etcd's and not the transport's.
inline constexpr size_t kGrpcOverheadBytes = 512UL * 1024;
// Operations in a transaction, and compares, each. Beyond: "etcdserver: too many operations…".
inline constexpr int kMaxTxnOps = 128;
// Nesting of transactions. etcd bounds it by --max-txn-ops alone, to one level more than its
// default of 128; ours keeps a stack from running out when that flag is larger. Beyond:
// InvalidArgument.
inline constexpr int kMaxTxnDepth = kMaxTxnOps + 1;

// --- The stream -----------------------------------------------------------------------------
// An encoded subject. Long ones travel in a header (jetstream/long_subject.h), and a header block
// ends at 65,535 bytes, with jetd's and the server's own lines in it. Beyond: InvalidArgument,
// kKeyTooLong.
inline constexpr size_t kMaxSubjectBytes = 64'000;
// Payload of a record of jetd's own (`_jetd.…`). Beyond, it is not taken for one.
inline constexpr size_t kMaxOwnRecordBytes = 1UL << 20;
// max_payload of the embedded nats-server.
inline constexpr size_t kEmbeddedMaxPayloadBytes = 8UL << 20;

// --- The committer --------------------------------------------------------------------------
// Records and bytes sent and not yet acknowledged. When full, later records wait in order.
inline constexpr size_t kMaxInFlightRecords = 512;
inline constexpr size_t kMaxInFlightBytes = 16UL << 20;
// Transactions evaluated and not yet answered, and the bytes of their records. When full, later
// requests wait unevaluated in the queue below.
inline constexpr size_t kMaxPendingTxns = 4096;
inline constexpr size_t kMaxPendingBytes = 64UL << 20;
// Requests that wait to be evaluated, and their bytes. Beyond: ResourceExhausted
// "etcdserver: too many requests" (etcd answers the same when it is 5,000 behind).
inline constexpr size_t kMaxQueuedRequests = 20'000;
inline constexpr size_t kMaxQueuedBytes = 256UL << 20;
// Keys visited by a range before other work gets its turn; about 0.15 ms.
inline constexpr size_t kScanStepKeys = 8'000;
// Reads that wait for a barrier. Beyond: as above. More than the gRPC streams that a server of this
// size can hold open, so only a store that does not answer gets there.
inline constexpr size_t kMaxWaitingReads = 50'000;
// Barrier records (replicated streams) that are removed together.
inline constexpr size_t kBarrierBatch = 128;
// Changes that a compaction visits before other work gets its turn; about half a millisecond.
inline constexpr size_t kCompactStepChanges = 4'000;
// From sending a record to its commit. Beyond: it counts as slow (etcd's bound for an apply).
inline constexpr std::chrono::milliseconds kSlowCommit{100};
// --quota-backend-bytes: etcd's default. Beyond: ResourceExhausted "etcdserver: mvcc: database
// space exceeded" and the alarm NOSPACE.
inline constexpr uint64_t kQuotaBackendBytes = 2UL << 30;
// Of what stream, account and disk leave, what puts do not get: a sixteenth of all, but as much as
// this and no more than that. What is in flight when a bound comes down has room in it.
inline constexpr uint64_t kMinReserveBytes = 1UL << 20;
inline constexpr uint64_t kMaxReserveBytes = 64UL << 20;
// Alarms raised at a time, of all kinds and members: the record that names them all stays small.
// Beyond: as above.
inline constexpr size_t kMaxAlarms = 1'000;
// How long a request may wait for a NATS that cannot be reached. Beyond: Unavailable.
inline constexpr std::chrono::seconds kUnavailableAfter{5};

// --- Snapshots ------------------------------------------------------------------------------
// Maintenance.Snapshot calls under way. Beyond: ResourceExhausted "etcdserver: too many requests".
inline constexpr size_t kMaxSnapshots = 4;
// How long one waits for a client that takes nothing. Beyond: DeadlineExceeded.
inline constexpr std::chrono::seconds kSnapshotPatience{60};

// --- Watch ----------------------------------------------------------------------------------
// Bytes of events in one response before it is sent; a single revision is never cut unless the
// watch asked for fragments. The second is for a watcher that catches up, whose history etcd sends
// in responses of any size.
inline constexpr size_t kWatchBatchBytes = 1UL << 20;
inline constexpr size_t kWatchCatchUpBatchBytes = 12UL << 20;
// Bytes of events collected and of responses not yet written, of all streams together. Beyond,
// those that catch up get responses of kWatchBatchBytes too.
inline constexpr size_t kWatchPlentyBytes = 64UL << 20;
// Encoded responses waiting for one slow stream. Beyond: its watchers become unsynced and catch up
// from the store later.
inline constexpr size_t kWatchStreamBufferBytes = 4UL << 20;
// Revisions read from history for unsynced watchers before other work gets its turn.
inline constexpr size_t kWatchCatchUpRevisions = 1'000;
// Events that such a step may hand out before the next one reads fewer revisions.
inline constexpr size_t kWatchCatchUpEvents = 20'000;
// --watch-progress-notify-interval, and its floor.
inline constexpr std::chrono::minutes kWatchProgressInterval{10};
inline constexpr std::chrono::milliseconds kMinWatchProgressInterval{100};

// --- Leases ---------------------------------------------------------------------------------
// etcd's largest TTL in seconds. Beyond: OutOfRange "etcdserver: too large lease TTL".
inline constexpr int64_t kMaxLeaseTtlSeconds = 9'000'000'000;
// Shortest TTL granted; etcd derives it from its election timeout ((3*1000 ms)/2 rounded up).
inline constexpr int64_t kMinLeaseTtlSeconds = 2;
// Leases that are being revoked for expiry at a time, and from one batch to the next (etcd: 500
// twice a second). Beyond: the others live a little longer.
inline constexpr size_t kLeaseExpiryBatch = 500;
inline constexpr std::chrono::milliseconds kLeaseExpiryPause{500};
// After a revoke that failed, and while NATS is away.
inline constexpr std::chrono::seconds kLeaseExpiryRetry{1};
// A timer that fires this late, or a barrier that takes this long, is a stall: clients could not
// renew meanwhile.
inline constexpr std::chrono::milliseconds kLeaseStall{500};
// How long nothing expires after a stall, so that keepalives which waited come first (etcd's client
// tries again after 500 ms).
inline constexpr std::chrono::seconds kLeaseGrace{2};
// How many stalls in a row are forgiven. Beyond: the engine is overloaded for good, and leases end.
inline constexpr int kLeaseMaxGraces = 5;

// --- gRPC over HTTP/2 -----------------------------------------------------------------------
// What a client may send on one stream, and on one connection, before anybody reads it. The second
// is many of the first: streams whose messages nobody wants now do not hold up the others. Each
// connection can make jetd hold as much as the second. Beyond: the client waits.
inline constexpr int kStreamWindowBytes = 256 * 1024;
inline constexpr int kConnectionWindowBytes = 8 * 1024 * 1024;
// What has arrived of messages that are not whole yet, of one connection and of all, with what
// waits unread. Beyond: ResourceExhausted, as where too many requests wait.
inline constexpr size_t kMaxIncomingBytesEach = 128UL << 20;
inline constexpr size_t kMaxIncomingBytes = 512UL << 20;
// Frames of one connection that wait for its socket, without the values that they share. Beyond:
// messages wait in their calls, and nothing more is read from that client.
inline constexpr size_t kMaxOutgoingBytes = 256UL << 10;
// Bytes received from, and sent to, one connection before others get their turn.
inline constexpr size_t kReceiveBytes = 64UL << 10;
inline constexpr size_t kSendBytes = 1UL << 20;
// Names and values of a call's headers, 32 more for each. Beyond: the call is reset.
inline constexpr size_t kMaxHeaderBytes = 64UL << 10;
// Calls of one connection at a time. Beyond: REFUSED_STREAM.
inline constexpr uint32_t kMaxStreams = 100'000;
// Calls that a connection may reset at once, and each second from then on: clients that end
// thousands of watches do. Beyond: the connection ends.
inline constexpr uint64_t kResetBurst = 20'000;
inline constexpr uint64_t kResetsPerSecond = 1'000;
// Answers to pings and settings that wait to be sent. Beyond: the connection ends.
inline constexpr size_t kMaxWaitingAcks = 1'000;
// From accept to a client's HTTP/2 settings. Beyond: closed.
inline constexpr std::chrono::seconds kGreetingPatience{20};
// From a server's farewell until it believes that clients have heard (grpc-go's value).
inline constexpr std::chrono::seconds kFarewellPatience{5};
// Connections taken, and steps of TLS handshakes made (up to 0.6 ms each with RSA), before others
// get their turn.
inline constexpr int kAcceptsPerTurn = 64;
inline constexpr int kHandshakesPerTurn = 4;
// How long a server that has no descriptor left takes no connection.
inline constexpr std::chrono::milliseconds kAcceptPause{100};

// --- HTTP (--listen-metrics-urls) -----------------------------------------------------------
// Connections at a time. Beyond: they wait in the kernel's backlog.
inline constexpr int kMaxHttpConnections = 64;
// Request line with headers, and body, each. Beyond: 400, and 413.
inline constexpr int kMaxHttpRequestBytes = 16 * 1024;
// From a connection's start to its end, whatever its client does. Beyond: it is closed.
inline constexpr std::chrono::seconds kHttpConnectionLife{30};
// How long a read of a health check may take: etcd's request timeout. Beyond: the check failed.
inline constexpr std::chrono::seconds kHealthReadPatience{7};
// How long the engine may take for a reply. Beyond: 503.
inline constexpr std::chrono::seconds kHttpPatience{10};

}  // namespace jetd::limits

#endif  // JETD_BASE_LIMITS_H_
