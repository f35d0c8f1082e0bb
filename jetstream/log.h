// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_LOG_H_
#define JETD_JETSTREAM_LOG_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/types.h"

namespace jetd::jetstream {

// A record as it lies in the stream. Views live as long as the call that hands them over.
struct Record {
  StreamSeq seq;
  int64_t time_ns = 0;       // the stream's timestamp, nanoseconds since 1970
  std::string_view subject;  // whole, "$KV.B.…"
  std::string_view header;   // value of our `Jetd` header line; empty: not ours
  bool is_delete = false;    // `KV-Operation: DEL` (or PURGE, which is never ours)
  std::string_view payload;  // empty when only headers were asked for
  size_t payload_size = 0;   // true size, also when only headers were asked for
};

// A record to append. The log copies what it needs before Append returns.
struct NewRecord {
  std::string_view subject;
  std::string_view header;
  bool is_delete = false;
  std::string_view payload;
};

// What the log is, known once it is open. Constant while connected; OnConnected tells anew.
struct LogInfo {
  std::string bucket;
  std::string subject_prefix;  // "$KV.B."
  size_t max_subject_bytes = 0;
  size_t max_payload_bytes = 0;
  int replicas = 1;
  int64_t created_ns = 0;  // identity of the stream: differs when it was made anew
  std::string server_version;
  // jetd itself syncs what it answers; otherwise the server's own promise is all there is.
  bool synced = false;
  // One line for people: what an answered write survives, "" if as much as etcd promises.
  std::string durability_caveat;
};

struct StreamState {
  StreamSeq first;  // lowest sequence that is not deleted; last+1 if empty
  StreamSeq last;   // highest sequence ever given out
  uint64_t messages = 0;
  uint64_t bytes = 0;
};

// How much room there is, as far as can be seen.
struct RoomInfo {
  static constexpr uint64_t kUnbounded = UINT64_MAX;
  StreamState state;
  // How much larger state.bytes may get before stream, account, server or disk refuse.
  uint64_t free_bytes = kUnbounded;
  std::string bound;  // which of them, for people: "the account's limit"
};

// What somebody else did to the stream, or seems to have done.
struct Meddling {
  enum class Kind {
    kConfig,   // it is configured in a way that loses records, or that jetd cannot work with
    kRemoved,  // records may be gone
  };
  Kind kind = Kind::kRemoved;
  std::string what;  // for people
};

// A mirror of the stream in another failure domain that the stream declares, and how it is
// (docs/adr/0090-mirrors.md).
struct MirrorState {
  enum class Fit {
    kFits,      // it copies this stream
    kUnheard,   // it did not answer
    kOther,     // what is there is no copy of this stream: what is new here is not copied
    kPromoted,  // it became a primary: this stream is none any more
  };
  std::string name{};
  std::string domain{};
  uint64_t cap_records = 0;  // removal waits for it while it is behind by no more
  Fit fit = Fit::kUnheard;
  std::string what{};   // why it does not fit, for people
  int64_t made_ns = 0;  // when its stream was made; 0: it was not heard
  // All of this stream's term records up to here were found in it, by a look that compared all.
  StreamSeq compared{};
  StreamSeq reached{};  // kFits: all up to here was copied
  StreamSeq last{};     // the stream's own then
  int64_t lag_ns = 0;   // kFits: from its newest record to the stream's newest
};

// What is asked of mirrors. They are copies as long as they have the stream's term records: where
// it lost its tail, and goes on, one lies at a sequence at which a mirror has something else.
struct MirrorsQuestion {
  enum class Terms {
    kNewest,  // quick: whoever diverged before the newest one looks like a copy
    kAll,     // that the stream has; a request or two for each, so for whoever is in no hurry
  };
  Terms terms = Terms::kAll;
  // What was found before: those compared then are not compared again. Of the same leadership only,
  // in which the stream does not go back.
  std::vector<MirrorState> known{};
};

// Which records of the stream are compared with what a mirror has at their sequences.
struct CompareQuestion {
  std::string domain{};  // the mirror's
  StreamSeq from{};
  StreamSeq upto{};  // which the mirror has reached
  // Ends early at either of them.
  size_t max_records = 64;
  size_t max_bytes = 1UL << 20;
};
struct CompareAnswer {
  StreamSeq upto{};  // all up to here was compared
  uint64_t records = 0, bytes = 0;
  struct Found {
    StreamSeq seq{};
    std::string subject{};  // whole, "$KV.B.…"
    // Of a record that is missing:
    std::string payload{};  // of a term record
    // It is a delete marker, and what the mirror has last of its subject is older: there the key,
    // or the lease, lives on.
    bool lives_on = false;
    friend bool operator==(const Found&, const Found&) = default;
  };
  std::vector<Found> different{};  // the mirror has another record there
  // It has none. What superseded it may have been trimmed there; what counts may not.
  std::vector<Found> missing{};
};

// Log is the seam between jetd and its storage: one stream of one tenant, appended to by a chain of
// conditional appends. `NatsLog` is the real one, `MemoryLog` the one in memory; both pass
// log_contract_test.
//
// Thread rules: everything is called on the engine thread, and every callback runs there, never
// from inside a call of Log. The Log does not own its Observer; both live until Close.
//
// The chain. `Append(predicted, r)` asks to put `r` at sequence `predicted`, and nowhere else.
// The caller predicts: first `last+1`, then one more for each append, without waiting. Answers
// come in the order of the appends. The stream compares a number, the sequence before, not what is
// there. So after the first refusal, what was predicted above it
//   is refused too if nothing took the refused one's place (no room, a full queue, a gap);
//   may land if something did. In flight 3, 4, 5; a foreign record takes 3:
//                                              OnRefused(3), OnAppended(4), OnAppended(5).
// Either way the caller takes nothing for done from the first refusal on, waits for the answers to
// all that is in flight, and reads the tail.
//
// Connections. A `NatsLog` connects anew by itself. When a connection breaks, OnDisconnected
// comes once; no answer to anything appended or asked before comes after it (each pending
// callback was called with kUnavailable before), and what was appended and not answered may be in
// the stream, may be not, and may still get there: a record in some buffer on the way. Appends
// while not connected are dropped the same way: no answer ever.
class Log {
 public:
  class Observer {
   public:
    virtual ~Observer() = default;
    // A connection is there (again) and the stream was found on it. Before the first one nothing
    // else is called.
    virtual void OnConnected(const LogInfo& info) = 0;
    virtual void OnDisconnected(const absl::Status& why) = 0;
    // The append predicted at `seq` landed there.
    virtual void OnAppended(StreamSeq seq) = 0;
    // The append predicted at `seq`, or one of its group (docs/adr/0043), did not land: the tail
    // says which did. kUnavailable with the server's text if a place was taken or a predecessor is
    // missing; kNoSpace: a limit of stream or account; kTooManyRequests: the server's ingest queue.
    virtual void OnRefused(StreamSeq seq, const absl::Status& why) = 0;
    // All records up to `seq` that were appended by this Log are as safe as this log makes them
    // (embedded: fdatasync returned). Called after OnAppended of the same; never goes back.
    virtual void OnDurable(StreamSeq seq) = 0;
    // Somebody else seems to have appended a term record: look at the tail soon. A hint only.
    virtual void OnForeignTerm() = 0;
    // While the log is guarded: once for each time that something is noticed. A stream that was
    // made anew or went back ends the connection instead: the next one shows it.
    virtual void OnMeddling(const Meddling& /*meddling*/) {}
  };

  // Called once per record, in order of sequence, when the record was found.
  using RecordFn = std::function<void(const Record&)>;
  // `last`: everything at or below it was delivered (or is deleted), and it was the stream's last
  // sequence at some moment after the call.
  using ReadDoneFn = std::function<void(absl::StatusOr<StreamSeq> last)>;
  using SeqFn = std::function<void(absl::StatusOr<StreamSeq>)>;
  using StateFn = std::function<void(absl::StatusOr<StreamState>)>;
  using RoomFn = std::function<void(absl::StatusOr<RoomInfo>)>;
  using DoneFn = std::function<void(absl::Status)>;
  using MirrorsFn = std::function<void(absl::StatusOr<std::vector<MirrorState>>)>;

  struct ReadOptions {
    StreamSeq from{1};
    // Exact subjects, or wildcards of NATS. Empty: all.
    std::vector<std::string> subjects = {};
    bool headers_only = false;
    // Goes on with what comes, and ends only with an error, or without a word once `wanted` is
    // gone.
    bool follow = false;
    std::weak_ptr<void> wanted = {};  // for `follow`
  };

  virtual ~Log() = default;

  // Starts connecting. Errors that no patience mends (a bucket that is not ours, a server too old,
  // a limit too small) are told by `fatal`, once; the log is then closed.
  virtual void Open(Observer* observer, DoneFn fatal) = 0;
  // Stops all; no callback comes after it returns.
  virtual void Close() = 0;

  // REQUIRES: subject and payload within LogInfo's limits (checked: a violation is a CHECK, since
  // the caller must have told the client before).
  virtual void Append(StreamSeq predicted, const NewRecord& record) = 0;

  // Asks for OnDurable(seq) of a record that is known to be in the stream without an answer of its
  // own: found by reading after a lost connection or at the start.
  // REQUIRES: every record up to `seq` was seen in the stream.
  virtual void RequestDurable(StreamSeq seq) = 0;

  // Asks for the stream's last sequence behind everything appended so far, through the same queue:
  // answered after the answers to those appends. With one replica it proves that at that moment
  // nothing was in the stream above it. (Several replicas need a record: the committer's matter.)
  virtual void Barrier(SeqFn done) = 0;

  // Reads from `options.from` to the end, or on and on. Several reads may run at once.
  virtual void Read(const ReadOptions& options, RecordFn on_record, ReadDoneFn done) = 0;
  // Reads single records by sequence; `on_record` for each that is still there, any order.
  virtual void Get(const std::vector<StreamSeq>& seqs, RecordFn on_record, DoneFn done) = 0;

  // Deletes one record, physically. A record that is not there is OK.
  virtual void Delete(StreamSeq seq, DoneFn done) = 0;
  // Adds, in ascending order, deletions that were answered with OK and wait in memory all the same
  // (NatsLog::Delete); after Close too. Who does not read the stream at the next start notes them.
  virtual void AppendPutOff(std::vector<StreamSeq>* /*seqs*/) const {}
  // Makes deletions so far survive a power cut (embedded), so that what they hid may go next.
  virtual void SyncDeletes(DoneFn done) = 0;

  virtual void State(StateFn done) = 0;
  // State, and how much room there is; a log that knows of no bound says so.
  virtual void Room(RoomFn done) {
    State([done = std::move(done)](const absl::StatusOr<StreamState>& state) {
      if (!state.ok()) return done(state.status());
      RoomInfo room;
      room.state = *state;
      done(std::move(room));
    });
  }

  // False: the stream has no mirrors, now and later.
  [[nodiscard]] virtual bool MayHaveMirrors() const { return false; }
  // Asks for the mirrors that are declared, and each of them how far it is. One that is cut off is
  // told as kUnheard; an error: nothing is known. For rare use: some requests each, to servers that
  // may be far away, and a second or two for each that does not answer.
  virtual void Mirrors(const MirrorsQuestion& /*question*/, MirrorsFn done) {
    State([done = std::move(done)](const absl::StatusOr<StreamState>& state) {
      if (!state.ok()) return done(state.status());
      done(std::vector<MirrorState>());
    });
  }

  using CompareFn = std::function<void(absl::StatusOr<CompareAnswer>)>;
  // Compares some records, two requests each; what the stream does not have any more is passed
  // over. An error says nothing about the mirror.
  virtual void CompareWithMirror(const CompareQuestion& /*question*/, CompareFn done) {
    State([done = std::move(done)](const absl::StatusOr<StreamState>& /*state*/) {
      done(absl::UnimplementedError("this log has no mirrors"));
    });
  }

  // From here on, over connections that come and go, somebody else's hand on the stream is told
  // within a second: OnForeignTerm for whatever is published into it, OnMeddling. For the one who
  // leads. A log that is exclusive, or in memory, has nothing to look for.
  virtual void StartGuard() {}
  virtual void StopGuard() {}

  // True when jetd alone can write to the stream (embedded server, private secret).
  [[nodiscard]] virtual bool exclusive() const = 0;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_LOG_H_
