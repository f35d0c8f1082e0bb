// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_HISTORY_WATCH_CHECK_H_
#define JETD_CONFORMANCE_HISTORY_WATCH_CHECK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/etcdpb/kv.pb.h"
#include "base/etcdpb/rpc.pb.h"
#include "conformance/history/key_space.h"
#include "conformance/history/model.h"
#include "conformance/history/operation.h"
#include "conformance/history/violations.h"

namespace jetd::conformance::history {

// What is watched: keys first..last, and how.
struct WatchSpec {
  KeyId first = 0;
  KeyId last = 0;
  bool prev_kv = false;
  bool no_put = false;
  bool no_delete = false;
};

struct WatchEvent {
  int64_t revision = 0;
  KeyId key = 0;
  KeyState state{};  // kAbsent: a delete
  bool has_prev = false;
  KeyState prev{};
  friend bool operator==(const WatchEvent&, const WatchEvent&) = default;
};
[[nodiscard]] std::string Text(const WatchEvent& event);

[[nodiscard]] etcdserverpb::WatchCreateRequest ToCreate(const KeySpace& keys, const WatchSpec& spec,
                                                        int64_t start_revision);
// An event of an unknown key has key number keys.size().
[[nodiscard]] WatchEvent ToWatchEvent(const KeySpace& keys, const mvccpb::Event& event);

// What such a watch from a revision on must show of these transactions, each event once, in order.
// `before`: the state before the first of them.
[[nodiscard]] std::vector<WatchEvent> ExpectedEvents(const WatchSpec& spec, State before,
                                                     const std::vector<Transaction>& transactions,
                                                     int64_t start_revision);

// Compares, and says of the first difference what it is: an event that was skipped, repeated, or
// is another than was expected.
void CompareEvents(const std::string& watcher, const std::vector<WatchEvent>& expected,
                   const std::vector<WatchEvent>& seen, Violations& violations);

// Events of a watch of all keys as transactions.
[[nodiscard]] std::vector<Transaction> ToTransactions(const std::vector<WatchEvent>& events);

}  // namespace jetd::conformance::history

#endif  // JETD_CONFORMANCE_HISTORY_WATCH_CHECK_H_
