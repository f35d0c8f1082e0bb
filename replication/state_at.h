// SPDX-License-Identifier: Apache-2.0
//
// The state of a bucket at a moment of its past, from the stream alone.
#ifndef JETD_REPLICATION_STATE_AT_H_
#define JETD_REPLICATION_STATE_AT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/types.h"
#include "jetstream/log.h"
#include "jetstream/subject.h"
#include "replication/point.h"
#include "replication/stream_source.h"
#include "replication/transaction_reader.h"

namespace jetd::replication {

// A live key as it was.
struct StateKey {
  std::string value;
  Revision create_revision;
  Revision mod_revision;
  int64_t version = 0;
  LeaseId lease;
  friend bool operator==(const StateKey&, const StateKey&) = default;
};

// The whole state of a bucket at a point, or of the keys with a prefix.
struct State {
  Revision revision{1};  // of the newest transaction in it; the empty store is at 1
  int64_t time_ns = 0;   // that transaction's stamp; 0: none
  StreamSeq last;        // newest sequence in it
  std::map<std::string, StateKey, std::less<>> keys;
  std::map<LeaseId, int64_t> leases;  // granted TTL, seconds
  // Leases at a revision below the compact one may have been removed, with keys or without. False:
  // there may have been others than these. Those that a key carries and whose TTL is lost:
  bool all_leases = true;
  std::vector<LeaseId> lost_leases;  // ascending
  Points points;                     // of the stream that it was read from
  // Of the jetd that serves that stream, or the one that it mirrors. 0: nobody knows. Set where it
  // was read from a source.
  uint64_t cluster_id = 0;
};

// CRC-32C of all keys, with their numbers, values and ids of leases: the same for the same keys,
// wherever they were read.
[[nodiscard]] uint32_t DigestOf(const State& state);

struct StateOptions {
  std::string prefix = {};                                // keys with others are left out
  enum class Values { kYes, kNo } values = Values::kYes;  // kNo: all are empty
  // Records read, now and then.
  std::function<void(uint64_t records)> progress = {};
  // How often all is read anew because it was compacted meanwhile. Then kUnavailable.
  int attempts = 5;
};

class StateFold;

// Reads the states at some points in one pass (two with kBeforeChange or kBeforeDeletion). Changes
// nothing; a jetd may go on writing and compacting. Engine thread only; `log` is open and
// connected, and outlives this, as does `codec`, which is of the bucket that the origin has.
//
// Which points there are: the rule is in docs/adr/0070, and Points has the answer. Above the
// compact revision all are there. Below it records go by and by; a state is given only if all that
// it is made of is known to be there, by the numbers that each record carries. On a mirror that had
// them all, all of them are.
//
// Memory: the states; the key and about 100 bytes for each key that is live at the end.
class StateReader {
 public:
  // In the order of the points. Errors: Points::Restorable's for a point; OutOfRange for a time in
  // the future, or before the first change; ChangeFinder's for a key's change or deletion; of the
  // log.
  using StatesFn = std::function<void(absl::StatusOr<std::vector<State>>)>;
  using PointsFn = std::function<void(absl::StatusOr<Points>)>;

  StateReader(jetstream::Log* log, const jetstream::SubjectCodec* codec, StateOptions options);
  ~StateReader();
  StateReader(const StateReader&) = delete;
  StateReader& operator=(const StateReader&) = delete;

  // One of them, once. `now_ns`: the wall's clock; times behind it and behind the newest stamp are
  // in the future.
  void Run(std::vector<Point> points, int64_t now_ns, StatesFn done);
  void RunPoints(PointsFn done);

 private:
  using EndFn = std::function<void(absl::StatusOr<TransactionReader::Result>)>;
  // One pass; `again` if it has to be read anew.
  void Pass(TransactionReader::TransactionFn on_transaction, EndFn end,
            std::function<void()> again);
  void FindChanges();
  void ReadAll();

  jetstream::Log* const log_;
  const jetstream::SubjectCodec* const codec_;
  const StateOptions options_;
  std::vector<Point> points_;
  int64_t now_ns_ = 0;
  StatesFn done_;
  PointsFn points_done_;
  int passes_ = 0;  // that had to be read anew
  std::unique_ptr<StateFold> fold_;
  // The one before is in its own callback while the next one begins.
  std::unique_ptr<TransactionReader> reader_, last_reader_;
};

// The same from a source. Block; any one thread.
[[nodiscard]] absl::StatusOr<std::vector<State>> ReadStates(const StreamSource& source,
                                                            const std::vector<Point>& points,
                                                            const StateOptions& options = {});
[[nodiscard]] absl::StatusOr<State> ReadState(const StreamSource& source, const Point& point,
                                              const StateOptions& options = {});
[[nodiscard]] absl::StatusOr<Points> ReadPoints(const StreamSource& source,
                                                const StateOptions& options = {});

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_STATE_AT_H_
