// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_LIVE_FOLLOWER_H_
#define JETD_CLI_LIVE_FOLLOWER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "base/types.h"
#include "cli/live_store.h"
#include "replication/bucket_state.h"

namespace jetd::cli {

// Reads a live store on a thread of its own: all keys at one revision, then what changes, until the
// cut-over; then all keys once more, to compare. Whoever made it takes what there is, in order, on
// one thread.
//
// Nothing rests on the watch: it may miss changes, repeat them, or tell of other keys (kine does).
// What differs in the end is asked for key by key, and if it still does, all is given anew as it
// was read. So too where the server has compacted what was to come next.
class LiveFollower {
 public:
  using LeaseInfo = revision::Store::LeaseInfo;
  struct Options {
    bool follow = false;  // otherwise the cut-over is at the first reading
    // The cut-over: when nothing has changed for so long, or at this revision, or when the user
    // says so, which before the first reading is done ends all with Cancelled.
    std::optional<std::chrono::milliseconds> until_idle{};
    Revision until{};  // 0: none
    const std::atomic<bool>* interrupted = nullptr;
    std::function<void()> wake;  // there is something new; from the thread
  };
  // The store at one revision, mended, with its leases. All that was given before is void.
  struct Whole {
    replication::BucketState state;
    std::string why{};  // for people, of all but the first
  };
  // Of one revision, in order; tombstones have their key and revision only. New leases first.
  struct Change {
    std::vector<LeaseInfo> leases;
    std::vector<revision::KvRef> keys;
  };
  // What leases came and went, beside those of Change; after all keys.
  struct Leases {
    Revision revision;
    std::vector<LeaseInfo> granted;
    std::vector<LeaseId> gone;
  };
  // The store as it was at the cut-over: what was given is this.
  struct End {
    replication::BucketState state;
    Revision newest;  // of the old store by then: above state.revision, it has gone on
  };
  using Item = std::variant<Whole, Change, Leases, End>;
  struct Progress {
    enum class Phase { kReading, kFollowing, kComparing };
    Phase phase = Phase::kReading;
    uint64_t keys = 0, of = 0;  // read; 0: nobody knows
    Revision seen, newest;      // while it follows: what was taken, and where the store is
  };

  // `store` outlives it, and is its alone.
  LiveFollower(LiveStore* store, Options options);
  ~LiveFollower();
  LiveFollower(const LiveFollower&) = delete;
  LiveFollower& operator=(const LiveFollower&) = delete;

  // Not OK: it ended with that.
  [[nodiscard]] absl::Status status() const;
  [[nodiscard]] Progress progress() const;
  // The next that was not taken; nothing: not yet, or that was the end.
  [[nodiscard]] std::optional<Item> Take();

 private:
  // What was given of a key: enough to see that it is another.
  struct Given {
    int64_t create = 0, mod = 0, version = 0, lease = 0;
    size_t value = 0;  // its hash
    friend bool operator==(const Given&, const Given&) = default;
  };
  static Given GivenOf(const revision::KvBlock& kv);

  void Run();
  [[nodiscard]] absl::Status Work();
  [[nodiscard]] absl::StatusOr<replication::BucketState> ReadNow(Progress::Phase phase);
  [[nodiscard]] absl::StatusOr<replication::BucketState> ReadAt(Revision at, Progress::Phase phase);
  [[nodiscard]] absl::Status Follow();
  [[nodiscard]] absl::Status FollowOnce(etcdclient::WatchStream* watch);
  [[nodiscard]] absl::Status OnResponse(const etcdclient::pb::WatchResponse& response);
  [[nodiscard]] absl::Status TakeEvents(const etcdclient::pb::WatchResponse& response);
  [[nodiscard]] absl::Status AddLease(LeaseId lease, Change* change);
  [[nodiscard]] absl::Status LookWhereItIs();
  [[nodiscard]] absl::Status CutOver();
  // What differs from what was given, for people; "" if nothing does.
  [[nodiscard]] std::string Compare(const replication::BucketState& end,
                                    std::vector<std::string>* keys) const;
  [[nodiscard]] absl::Status AskAgain(const std::vector<std::string>& keys,
                                      replication::BucketState* end);
  void GiveWhole(replication::BucketState state, std::string why);
  void GiveChange(Change change);
  void Give(Item item);
  [[nodiscard]] bool Drained() const;
  [[nodiscard]] bool interrupted() const {
    return options_.interrupted != nullptr && options_.interrupted->load();
  }

  LiveStore* const store_;
  const Options options_;
  std::atomic<bool> stop_{false};

  // The thread's.
  Revision seen_;                     // all up to here was given
  Revision newest_;                   // of the old store, when it was looked at
  std::optional<Revision> cut_over_;  // the revision at which
  std::chrono::steady_clock::time_point changed_at_{}, looked_at_{};
  std::map<std::string, Given> given_;
  std::set<LeaseId> leases_;  // given

  mutable Mutex mutex_;
  CondVar taken_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  Progress progress_ ABSL_GUARDED_BY(mutex_);
  std::deque<Item> items_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;  // last: uses what stands above
};

}  // namespace jetd::cli

#endif  // JETD_CLI_LIVE_FOLLOWER_H_
