// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BENCH_PHASE_SPEC_H_
#define JETD_BENCH_PHASE_SPEC_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace jetd::bench {

// What one phase of a run does.
enum class PhaseKind {
  kAwait,           // until the server gives a complete, linearizable answer
  kCreate,          // transactions: not there, so put
  kUpdate,          // transactions: unchanged, so put; else get
  kDelete,          // transactions: unchanged, so delete; else get
  kGet,             // one key, linearizable
  kMixed,           // of 100: 60 updates, 20 gets, 10 creates, 10 deletes
  kList,            // pages of `limit` keys; limit=0: all at once
  kRangeStream,     // all by RangeStream
  kWatch,           // updates, and `watchers` that see them
  kLeaseGrant,      //
  kLeaseKeepAlive,  // of leases granted before
  kLeaseRevoke,     //
  kIdle,            // an idle control plane
  kCompact,         // all but the newest `keep` revisions, until what that frees is removed
};

// One phase, as the command line spells it: a name, then name=value, all separated by commas.
//
//   update                         16 clients, flat out, 5 s after a warm-up of 1 s
//   create,clients=64,ops=100000   fixed work
//   get,rate=5000,seconds=10       open loop: 5,000 a second whatever the server does
//
struct PhaseSpec {
  PhaseKind kind = PhaseKind::kGet;
  std::string name;  // as it was written
  // Closed loop: how many have one request each under way. Open loop: how many may be under way.
  int clients = 16;
  // Work: so many operations, or, if 0, so long.
  int64_t ops = 0;
  double seconds = 5;
  double warmup_seconds = 1;  // not with ops
  // Operations a second, latency counted from when each was due; 0: flat out.
  double rate = 0;
  size_t value_bytes = 1024;
  int limit = 500;
  int watchers = 100;
  // Each watcher follows one namespace, taking turns over so many; 0: all of the prefix.
  int namespaces = 0;
  // kAwait: how many keys must be there; -1: any number.
  int64_t keys = -1;
  int64_t ttl_seconds = 3600;
  // kCompact: how many of the newest revisions stay.
  int64_t keep = 0;
};

// InvalidArgument names what is wrong.
[[nodiscard]] absl::StatusOr<PhaseSpec> ParsePhase(std::string_view text);

// The names of the kinds, for --help.
[[nodiscard]] std::vector<std::string> PhaseNames();

}  // namespace jetd::bench

#endif  // JETD_BENCH_PHASE_SPEC_H_
