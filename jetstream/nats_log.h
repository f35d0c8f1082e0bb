// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_NATS_LOG_H_
#define JETD_JETSTREAM_NATS_LOG_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/loop.h"
#include "jetstream/durability.h"
#include "jetstream/file_reader.h"
#include "jetstream/helper_thread.h"
#include "jetstream/log.h"
#include "jetstream/nats_connection.h"
#include "jetstream/nats_endpoint.h"
#include "jetstream/nats_messenger.h"
#include "jetstream/stream_setup.h"

namespace jetd::jetstream {

struct NatsLogOptions {
  NatsEndpointFn endpoint;
  StreamOptions stream;
  // JetStream domain; empty: the one that the server is in.
  std::string domain;
  // What subjects of the JetStream API begin with, "$JS.hub.API.", where an account imports it
  // under a name of its own; empty: by `domain`. For who only reads.
  std::string api_prefix = {};
  std::string client_name = "jetd";
  // There is another server to go to when one says that it is going to end.
  bool other_servers = false;
  // An older server is refused: 2.<this>.
  int min_minor_version = 10;
  // jetd alone can write: an embedded server with a secret of its own.
  bool exclusive = false;
  // How many more bytes fit on the disk below a stream that takes so many; unset: nobody knows.
  // Called on the engine thread, must not wait.
  std::function<uint64_t(uint64_t stream_bytes)> disk_room;
  // The folder of the stream's files, where jetd alone runs the server and may look into them: long
  // readings are made there. Empty: none.
  std::string stream_folder = {};
  // They are looked through from Open on, while the server recovers: for who will read it all.
  bool look_early = false;
  // Readings of fewer records go through the server.
  uint64_t min_records_from_files = 100;
  // More deleted sequences than this nats-server is not asked to name.
  uint64_t max_named_deletes = 100'000;
  // Only to be read: the stream is never made, and a mirror is as good.
  bool read_only = false;
  // Null: what the server promises is all there is. Outlives the log.
  Durability* durability = nullptr;
  // Gets the connections too; null: nobody. Outlives the log.
  NatsMessenger* messenger = nullptr;

  std::chrono::milliseconds connect_timeout{2'000};
  std::chrono::milliseconds ping_interval{5'000};
  // A write that has no answer for so long: the connection is given up. A read or an API request
  // fails with kTimeout.
  std::chrono::milliseconds answer_timeout{10'000};
  std::chrono::milliseconds min_backoff{50};
  std::chrono::milliseconds max_backoff{2'000};
};

// The Log on a real nats-server: see Log for what it promises.
//
// One connection at a time, a NatsSession, and it is never mended: when it breaks, everything of it
// is failed, and a helper thread makes another, with back-off, to the next endpoint. Nothing that
// was sent on one is waited for on another.
//
//   Open -> connecting -> setting up -> connected -> (broken) -> waiting -> connecting -> …
//
// The engine thread's alone, like Log, and made and destroyed while the loop does not run or on it,
// not from inside a callback. `loop` outlives it.
class NatsLog : public Log {
 public:
  NatsLog(Loop* loop, NatsLogOptions options);
  ~NatsLog() override;

  void Open(Observer* observer, DoneFn fatal) override;
  void Close() override;
  void Append(StreamSeq predicted, const NewRecord& record) override;
  void RequestDurable(StreamSeq seq) override;
  void Barrier(SeqFn done) override;
  void Read(const ReadOptions& options, RecordFn on_record, ReadDoneFn done) override;
  void Get(const std::vector<StreamSeq>& seqs, RecordFn on_record, DoneFn done) override;
  // Readings that were made out of the server's files, and whether those turned out not to be what
  // was expected, so that no more are.
  [[nodiscard]] uint64_t file_passes() const { return files_.passes; }
  [[nodiscard]] bool files_doubted() const { return files_.doubted; }
  // On files that are synced from outside, a record is deleted only when a newer file has begun;
  // until then the answer is OK and nothing is sent. nats-server writes a tombstone into its newest
  // file. When it has to read its files after an unclean end, it may rewrite one while it is still
  // applying tombstones, and drops those that lie in the same file as what they delete: at the next
  // unclean end the records are back (seen with 2.15.1), although all was synced. Of what hides
  // something, a delete marker for example, the sequence is the higher one, so it never goes first.
  void Delete(StreamSeq seq, DoneFn done) override;
  void AppendPutOff(std::vector<StreamSeq>* seqs) const override;
  void SyncDeletes(DoneFn done) override;
  void State(StateFn done) override;
  void Room(RoomFn done) override;
  // An embedded server is in no domain.
  [[nodiscard]] bool MayHaveMirrors() const override {
    return !options_.exclusive && !options_.read_only;
  }
  void Mirrors(const MirrorsQuestion& question, MirrorsFn done) override;
  void CompareWithMirror(const CompareQuestion& question, CompareFn done) override;
  void StartGuard() override;
  void StopGuard() override;
  [[nodiscard]] bool exclusive() const override { return options_.exclusive; }
  // When the stream was made whose records these are: its own, or the one that it mirrors. 0: a
  // mirror that does not say of which, or no connection yet.
  [[nodiscard]] int64_t origin_created_ns() const { return origin_created_ns_; }
  // Why the last connection, or try, came to nothing; "" before there was one. For people.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

 private:
  struct Session;
  struct Hook;
  enum class Phase { kClosed, kIdle, kConnecting, kSettingUp, kConnected };

  void StartConnecting();
  void OnConnectResult(absl::StatusOr<std::unique_ptr<NatsConnection>> result);
  void StartSession(std::unique_ptr<NatsConnection> connection);
  [[nodiscard]] absl::Status MayCreate() const;
  void OnStream(absl::StatusOr<StreamFacts> facts);
  void UseStream(const StreamFacts& facts);
  [[nodiscard]] std::string publish_prefix() const {
    return options_.domain.empty() ? "" : prefix_;
  }
  void MakeGuard();
  void BecomeConnected(const StreamFacts& facts);
  void EndSession(const absl::Status& why);
  void OnLameDuck();
  // `expected`: not worth a warning.
  enum class Expected { kNo, kYes };
  void ConnectLater(const absl::Status& why, Expected expected = Expected::kNo);
  void GiveUp(const absl::Status& why);
  void OnAppended(StreamSeq seq);
  // What an answer is worth is judged when a connection begins: then another one begins.
  void OnStreamChanged(const absl::StatusOr<StreamFacts>& facts);
  void SyncSoon();
  void SyncMore();
  void NoteBlock(StreamSeq upto);
  void DeletePutOff();
  void OnRound();
  void RetireSession(const absl::Status& why);
  [[nodiscard]] LogInfo InfoOf(const StreamFacts& facts) const;
  [[nodiscard]] bool WorthFiles(const ReadOptions& options) const;
  void ReadByConsumer(const ReadOptions& options, RecordFn on_record, ReadDoneFn done);
  // Runs `fn` soon, unless the log is closed by then.
  void Later(std::function<void()> fn);
  [[nodiscard]] bool connected() const { return phase_ == Phase::kConnected; }

  Loop* const loop_;
  const NatsLogOptions options_;
  const std::string prefix_;  // "$JS.API." or with a domain
  const std::shared_ptr<Hook> hook_;

  Phase phase_ = Phase::kClosed;
  Observer* observer_ = nullptr;
  DoneFn fatal_;
  // Replaced by Close: what holds the old one weakly does not run any more.
  std::shared_ptr<bool> open_;
  bool guarded_ = false;
  LogInfo info_;
  int64_t origin_created_ns_ = 0;
  int lost_probes_ = 0;  // connections in a row that ended while their control line was tried
  std::vector<std::string> warned_;  // what was logged of WarningsOf
  std::unique_ptr<Session> session_;
  std::vector<std::unique_ptr<Session>> retired_;
  std::chrono::milliseconds backoff_;
  std::string trouble_;
  TimerId connect_timer_ = 0;

  StreamSeq highest_predicted_;  // of all appends, of all sessions
  StreamSeq durable_;            // how far appends of this session were told safe

  // What lies in files that do not grow any more: all up to `in_old_blocks_`. `upto_of_newest_` was
  // answered when `newest_block_` was seen last.
  uint64_t newest_block_ = 0;
  StreamSeq upto_of_newest_, in_old_blocks_;
  // Deletions that wait for that, and whether some of them are being sent.
  std::set<StreamSeq> put_off_;
  bool deleting_put_off_ = false;

  FileReader::Shared files_;

  HelperThread helper_{"connect"};
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_NATS_LOG_H_
