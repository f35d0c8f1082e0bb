// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nats_log.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/log_fields.h"
#include "base/strings.h"
#include "jetstream/bucket_access.h"
#include "jetstream/long_subject.h"
#include "jetstream/nats_session.h"
#include "jetstream/server_check.h"
#include "jetstream/subject.h"

namespace jetd::jetstream {
namespace {

// Of deletions that were put off, at a time, and the pause between: nobody waits for them.
constexpr size_t kPutOffBatch = 32;
constexpr std::chrono::milliseconds kPutOffPause{1};
// For the answer of another domain, which may be cut off.
constexpr std::chrono::seconds kDomainPatience{2};
// Of max_payload, for a record's header block: ours is below 300 bytes, but for a long subject.
constexpr size_t kHeaderReserveBytes = limits::kMaxSubjectBytes + 1024;
// A server that ends a connection for a long line says why, but that may get lost. Servers that are
// restarted one after the other end connections too: a guess is all that so many are good for.
constexpr int kLostProbesToWarn = 3;

NatsLogOptions Settled(NatsLogOptions options) {
  if (options.read_only) options.stream.unserved = true;
  return options;
}

absl::Status NotConnected() { return MakeError(Errc::kUnavailable, "not connected to NATS"); }

}  // namespace

// The loop keeps its hooks for ever; this one may outlive its log.
struct NatsLog::Hook {
  NatsLog* log;
};

NatsLog::NatsLog(Loop* loop, NatsLogOptions options)
    : loop_(loop),
      options_(Settled(std::move(options))),
      prefix_(options_.api_prefix.empty() ? ApiPrefix(options_.domain) : options_.api_prefix),
      hook_(std::make_shared<Hook>(Hook{this})),
      backoff_(options_.min_backoff) {
  JETD_CHECK(IsBucketName(options_.stream.bucket)) << options_.stream.bucket;
  loop_->AddRoundHook([hook = hook_] {
    if (hook->log != nullptr) hook->log->OnRound();
  });
}

NatsLog::~NatsLog() {
  Close();
  hook_->log = nullptr;
}

void NatsLog::Open(Observer* observer, DoneFn fatal) {
  JETD_CHECK(phase_ == Phase::kClosed) << "Open of an open log";
  observer_ = observer;
  fatal_ = std::move(fatal);
  open_ = std::make_shared<bool>(true);
  phase_ = Phase::kIdle;
  if (options_.look_early) {
    files_.early = std::make_shared<EarlyLook>(
        StreamPlace{.folder = options_.stream_folder,
                    .stream = StreamName(options_.stream),
                    .prefix = SubjectCodec(options_.stream.bucket).prefix()});
  }
  StartConnecting();
}

void NatsLog::Close() {
  if (phase_ == Phase::kClosed) return;
  phase_ = Phase::kClosed;
  open_.reset();
  observer_ = nullptr;
  fatal_ = nullptr;
  files_.early.reset();
  if (connect_timer_ != 0) loop_->Cancel(connect_timer_);
  connect_timer_ = 0;
  if (session_ != nullptr) {
    if (options_.messenger != nullptr) options_.messenger->Detach();
    session_->Drop();
    retired_.push_back(std::move(session_));
  }
}

void NatsLog::Later(std::function<void()> fn) {
  loop_->Defer([open = std::weak_ptr(open_), fn = std::move(fn)] {
    if (!open.expired()) fn();
  });
}

void NatsLog::StartConnecting() {
  phase_ = Phase::kConnecting;
  absl::StatusOr<NatsEndpoint> endpoint = options_.endpoint();
  if (absl::IsFailedPrecondition(endpoint.status()) && GetErrc(endpoint.status()) == Errc::kNone) {
    // Not at once: this may be a part of Open.
    return Later([this, why = endpoint.status()] { GiveUp(why); });
  }
  if (!endpoint.ok()) {
    // An embedded server takes a moment to start; only a long one is worth a warning.
    const bool soon = backoff_ < options_.max_backoff;
    return ConnectLater(endpoint.status(), soon ? Expected::kYes : Expected::kNo);
  }
  helper_.Run(
      [this, loop = loop_, open = std::weak_ptr(open_), endpoint = *std::move(endpoint),
       name = options_.client_name, timeout = options_.connect_timeout,
       others = NatsConnectOptions{InboxPrefix(options_.stream.bucket), options_.ping_interval}] {
        if (open.expired()) return;
        auto made = NatsConnection::Connect(loop, endpoint, name, timeout, others);
        auto result = std::make_shared<decltype(made)>(std::move(made));
        loop->Post([this, open, result] {
          if (!open.expired()) OnConnectResult(std::move(*result));
        });
      });
}

void NatsLog::OnConnectResult(absl::StatusOr<std::unique_ptr<NatsConnection>> result) {
  if (!result.ok()) return ConnectLater(result.status());
  const absl::Status usable = CheckServer((*result)->server(), options_.min_minor_version);
  if (!usable.ok()) return GiveUp(usable);
  StartSession(*std::move(result));
}

void NatsLog::StartSession(std::unique_ptr<NatsConnection> connection) {
  phase_ = Phase::kSettingUp;
  session_ = std::make_unique<Session>();
  session_->connection = std::move(connection);
  NatsConnection* const nats = session_->connection.get();
  // Where nothing is synced no turn waits for acks.
  const bool synced = options_.durability != nullptr;
  session_->turn = std::make_unique<SyncTurn>(loop_, [this] { SyncSoon(); });
  session_->gather = std::make_unique<AppendGather>(
      loop_,
      [session = session_.get(), synced] {
        if (session->chain != nullptr) session->chain->EndGroup();
        session->connection->Flush();
        if (synced) session->turn->OnSent(session->predicted);
      },
      [session = session_.get()] {
        // Where none is held each asks for itself: the turn has to know before its answer.
        if (session->chain == nullptr || session->chain->held() == 0) return size_t{0};
        const size_t pushed = session->connection->published();
        session->connection->Flush();
        return pushed;
      });
  nats->set_on_lame_duck([this] { OnLameDuck(); });
  nats->Start([this](const absl::Status& why) { EndSession(why); });
  if (options_.messenger != nullptr) options_.messenger->Attach(nats);
  session_->api = std::make_unique<NatsApi>(loop_, nats, prefix_, options_.answer_timeout);
  if (!options_.exclusive && !options_.read_only) {
    // Before anything is asked, so that it is in place when that is answered. Our own records are
    // not delivered to us (no echo).
    nats->Subscribe(SubjectCodec(options_.stream.bucket).TermSubject(), [this](NatsMessage&) {
      if (connected()) observer_->OnForeignTerm();
    });
    WatchStream(nats, session_->api.get(), options_.stream.bucket,
                [this](const absl::StatusOr<StreamFacts>& facts) { OnStreamChanged(facts); });
  }
  SetUpStream(
      session_->api.get(), options_.stream, [this] { return MayCreate(); },
      [this](absl::StatusOr<StreamFacts> facts) { OnStream(std::move(facts)); });
}

// A store that was there is never replaced by an empty one.
absl::Status NatsLog::MayCreate() const {
  if (options_.read_only || options_.stream.unserved) {
    return absl::FailedPreconditionError(
        Cat("stream ", StreamName(options_.stream), " is not there"));
  }
  if (info_.created_ns != 0) {
    return absl::FailedPreconditionError(Cat(
        "stream ", StreamName(options_.stream.bucket),
        " is gone, while jetd was using it. It is not made anew: a start of jetd would do that"));
  }
  if (options_.durability == nullptr) return absl::OkStatus();
  absl::Status may = options_.durability->MayCreate();
  return may.ok() ? options_.durability->RemoveRemains() : may;
}

void NatsLog::OnStream(absl::StatusOr<StreamFacts> facts) {
  if (phase_ != Phase::kSettingUp) return;
  if (absl::IsFailedPrecondition(facts.status()) && GetErrc(facts.status()) == Errc::kNone) {
    return GiveUp(facts.status());
  }
  if (!facts.ok()) return EndSession(facts.status());
  // An embedded server is configured by us; who only reads sends no long line.
  if (options_.exclusive || options_.read_only) return UseStream(*facts);
  session_->probing = true;
  ProbeControlLine(session_->api.get(), publish_prefix(),
                   SubjectCodec(options_.stream.bucket).prefix(),
                   [this, facts = *facts](const absl::Status& answered) {
                     if (phase_ != Phase::kSettingUp) return;  // the session ends
                     session_->probing = false;
                     if (!answered.ok()) return EndSession(answered);
                     lost_probes_ = 0;
                     UseStream(facts);
                   });
}

void NatsLog::UseStream(const StreamFacts& facts) {
  if (options_.durability == nullptr) return BecomeConnected(facts);
  options_.durability->SyncStream(
      [this, open = std::weak_ptr(open_), session = session_.get(), facts] {
        // Another session may be setting up by now.
        if (open.expired() || phase_ != Phase::kSettingUp || session_.get() != session) return;
        NoteBlock(facts.state.last);
        BecomeConnected(facts);
        DeletePutOff();
      });
}

void NatsLog::BecomeConnected(const StreamFacts& facts) {
  NatsConnection* const nats = session_->connection.get();
  const SubjectCodec subjects(options_.stream.bucket);
  AppendChain::Options chain;
  chain.publish_prefix = publish_prefix();
  chain.subject_prefix = subjects.prefix();
  chain.barrier_subject = subjects.BarrierSubject();
  chain.patience = options_.answer_timeout;
  chain.answer_for_group = options_.exclusive;
  chain.sent_before = highest_predicted_;
  AppendChain::Callbacks callbacks;
  callbacks.appended = [this](StreamSeq seq) { OnAppended(seq); };
  callbacks.refused = [this](StreamSeq seq, const absl::Status& why) {
    observer_->OnRefused(seq, why);
  };
  callbacks.broken = [this](const absl::Status& why) { EndSession(why); };
  session_->chain =
      std::make_unique<AppendChain>(loop_, nats, std::move(chain), std::move(callbacks));
  session_->records =
      std::make_unique<NatsRecords>(loop_, session_->api.get(), options_.stream, facts.replicas);
  session_->room = std::make_unique<NatsRoom>(session_->api.get(), options_.stream);
  session_->domains = std::make_unique<DomainApi>(loop_, nats, kDomainPatience);
  files_.survey.reset();
  if (facts.state.messages < options_.min_records_from_files) files_.early.reset();
  session_->state = facts.state;
  session_->few_deletes = facts.num_deleted <= options_.max_named_deletes;
  phase_ = Phase::kConnected;
  backoff_ = options_.min_backoff;
  durable_ = StreamSeq();
  info_ = InfoOf(facts);
  origin_created_ns_ = facts.origin_created_ns;
  TellConnected(info_, nats->server().url, StreamName(options_.stream), facts.state.messages);
  std::vector<std::string> warnings = WarningsOf(info_);
  // For those who write.
  if (!options_.read_only && warnings != warned_) {
    for (const std::string& warning : warnings) log::Warn("{}", warning);
    warned_ = std::move(warnings);
  }
  if (guarded_) MakeGuard();
  observer_->OnConnected(info_);
}

LogInfo NatsLog::InfoOf(const StreamFacts& facts) const {
  const NatsServerInfo& server = session_->connection->server();
  LogInfo info;
  info.bucket = options_.stream.bucket;
  info.subject_prefix = SubjectCodec(options_.stream.bucket).prefix();
  info.max_subject_bytes = limits::kMaxSubjectBytes;
  info.max_payload_bytes =
      server.max_payload_bytes - std::min(server.max_payload_bytes, kHeaderReserveBytes);
  info.replicas = facts.replicas;
  info.created_ns = facts.created_ns;
  info.server_version = server.version;
  info.synced = options_.durability != nullptr;
  info.durability_caveat = options_.durability != nullptr ? options_.durability->Caveat()
                                                          : OutsideCaveat(facts.replicas);
  return info;
}

void NatsLog::EndSession(const absl::Status& why) {
  if (session_ == nullptr) return;
  const bool was_connected = connected();
  const std::weak_ptr<bool> open(open_);
  if (session_->probing && session_->connection->closed()) {
    const std::string& url = session_->connection->server().url;
    if (TellsOfControlLine(why)) {
      const absl::Status text = ControlLineTooShort(url);
      // Once jetd has served, another server of the same cluster may be better.
      if (info_.created_ns == 0) return GiveUp(text);
      log::Error("{}", MessageOf(text));
    } else if (++lost_probes_ % kLostProbesToWarn == 0) {
      log::Warn("NATS: {} connections in a row were lost while a long line was tried: perhaps {}",
                lost_probes_, MessageOf(ControlLineTooShort(url)));
    }
  }
  phase_ = Phase::kIdle;
  RetireSession(why);
  if (open.expired()) return;
  if (was_connected) {
    log::Warn("disconnected from NATS: {}{}", log::As("reason", MessageOf(why)),
              log::Event("nats_disconnected"));
    observer_->OnDisconnected(MakeError(Errc::kUnavailable, MessageOf(why)));
    if (open.expired()) return;
  }
  ConnectLater(why);
}

// What is in flight is settled as after any lost connection. Staying would only put that off.
void NatsLog::OnLameDuck() {
  const std::string what = Cat("the nats-server at ", session_->connection->server().url,
                               " is going to end (lame duck mode)");
  if (options_.other_servers) return EndSession(absl::UnavailableError(what));
  log::Warn("{}, and there is no other to go to{}", what, log::Event("nats_lame_duck"));
}

void NatsLog::RetireSession(const absl::Status& why) {
  Session* const ended = session_.get();
  if (options_.messenger != nullptr) options_.messenger->Detach();
  ended->connection->Stop();
  // Kept until the round's end: this may run inside one of its callbacks.
  retired_.push_back(std::move(session_));
  const std::weak_ptr<bool> open(open_);
  const absl::Status told = MakeError(Errc::kUnavailable, MessageOf(why));
  // A callback may close the log.
  for (const auto& reader : ended->readers) {
    if (!open.expired()) reader->Fail(told);
  }
  for (const auto& reader : ended->file_readers) {
    if (!open.expired()) reader->Fail(told);
  }
  if (ended->records != nullptr && !open.expired()) ended->records->Fail(told);
  ended->FailDomains(open, told);
  if (!open.expired()) ended->api->Fail(told);
  if (ended->chain != nullptr && !open.expired()) ended->chain->Fail(told);
  ended->Drop();
}

void NatsLog::ConnectLater(const absl::Status& why, Expected expected) {
  phase_ = Phase::kIdle;
  trouble_ = std::string(MessageOf(why));
  if (expected == Expected::kYes) {
    log::Debug("NATS: {}; trying again in {} ms", MessageOf(why), backoff_.count());
  } else {
    log::Warn("NATS: {}; trying again in {} ms{}", log::As("reason", MessageOf(why)),
              log::As("retry_ms", backoff_.count()), log::Event("nats_retry"));
  }
  connect_timer_ = loop_->RunAfter(backoff_, [this] {
    connect_timer_ = 0;
    StartConnecting();
  });
  backoff_ = std::min(backoff_ * 2, options_.max_backoff);
}

void NatsLog::GiveUp(const absl::Status& why) {
  const DoneFn fatal = std::move(fatal_);
  Close();
  fatal(why);
}

void NatsLog::OnRound() {
  if (session_ != nullptr) {
    if (session_->reader_finished) {
      session_->reader_finished = false;
      std::erase_if(session_->readers, [](const auto& reader) { return reader->finished(); });
      std::erase_if(session_->file_readers, [](const auto& reader) { return reader->finished(); });
    }
    const size_t held = session_->chain == nullptr ? 0 : session_->chain->held();
    session_->gather->EndRound(session_->connection->published() + held);
  }
  for (std::unique_ptr<Session>& retired : std::exchange(retired_, {})) {
    // Closing a connection may block; the rest goes here.
    helper_.Run([connection = std::shared_ptr(std::move(retired->connection))] {});
  }
}

void NatsLog::Append(StreamSeq predicted, const NewRecord& record) {
  if (!connected()) return;
  JETD_CHECK(record.subject.size() <= info_.max_subject_bytes)
      << "subject of " << record.subject.size() << " bytes";
  JETD_CHECK(record.payload.size() <= info_.max_payload_bytes)
      << "payload of " << record.payload.size() << " bytes";
  session_->chain->Append(predicted, record);
  if (session_->guard != nullptr) session_->guard->OnSent();
  session_->predicted = predicted;
  highest_predicted_ = std::max(highest_predicted_, predicted);
  session_->gather->OnAppend(record.payload.size());
}

void NatsLog::OnAppended(StreamSeq seq) {
  const std::weak_ptr<bool> open(open_);
  if (session_->guard != nullptr) session_->guard->OnAppended(seq);
  observer_->OnAppended(seq);
  if (open.expired() || !connected()) return;
  RequestDurable(seq);
}

void NatsLog::RequestDurable(StreamSeq seq) {
  if (connected()) session_->turn->Request(seq);
}

void NatsLog::SyncSoon() {
  // Not at once: one sync, or one call, for all answers of a round.
  Later([this, session = session_.get()] {
    if (session_.get() == session && connected()) SyncMore();
  });
}

void NatsLog::SyncMore() {
  const auto safe = [this, open = std::weak_ptr(open_), session = session_.get(),
                     upto = session_->turn->appended()] {
    const auto here = [&] { return !open.expired() && session_.get() == session && connected(); };
    if (!here()) return;
    session->turn->OnSynced(upto, [&] {
      if (options_.durability != nullptr) NoteBlock(upto);
      session->gather->OnSyncDone();
      if (upto <= durable_) return true;
      durable_ = upto;
      observer_->OnDurable(upto);
      return here();
    });
  };
  if (options_.durability == nullptr) return safe();
  session_->gather->OnSyncStarted(session_->turn->appended().value() - durable_.value());
  options_.durability->SyncAppends(safe);
}

void NatsLog::Barrier(SeqFn done) {
  if (!connected()) return Later([done = std::move(done)] { done(NotConnected()); });
  session_->chain->Barrier(std::move(done));
}

// All up to `upto` was written before the newest block was looked for.
void NatsLog::NoteBlock(StreamSeq upto) {
  const uint64_t block = options_.durability->NewestBlock();
  if (block > newest_block_) {
    if (newest_block_ != 0) in_old_blocks_ = upto_of_newest_;
    newest_block_ = block;
    DeletePutOff();
  }
  upto_of_newest_ = std::max(upto_of_newest_, upto);
}

void NatsLog::DeletePutOff() {
  if (deleting_put_off_ || !connected()) return;
  std::vector<StreamSeq> batch;
  for (const StreamSeq seq : put_off_) {
    if (seq > in_old_blocks_ || batch.size() == kPutOffBatch) break;
    batch.push_back(seq);
  }
  if (batch.empty()) return;
  deleting_put_off_ = true;
  const auto outstanding = std::make_shared<size_t>(batch.size());
  for (const StreamSeq seq : batch) {
    session_->records->Delete(
        seq, [this, open = std::weak_ptr(open_), outstanding, seq](const absl::Status& status) {
          if (open.expired()) return;
          if (status.ok()) put_off_.erase(seq);
          if (--*outstanding > 0) return;
          deleting_put_off_ = false;
          loop_->RunAfter(kPutOffPause, [this, open] {
            if (!open.expired()) DeletePutOff();
          });
        });
  }
}

void NatsLog::Delete(StreamSeq seq, DoneFn done) {
  if (!connected()) return Later([done = std::move(done)] { done(NotConnected()); });
  if (options_.durability != nullptr && seq > in_old_blocks_) {
    put_off_.insert(seq);
    return Later([done = std::move(done)] { done(absl::OkStatus()); });
  }
  session_->records->Delete(seq, std::move(done));
}

void NatsLog::AppendPutOff(std::vector<StreamSeq>* seqs) const {
  seqs->insert(seqs->end(), put_off_.begin(), put_off_.end());
}

void NatsLog::SyncDeletes(DoneFn done) {
  if (!connected()) return Later([done = std::move(done)] { done(NotConnected()); });
  if (options_.durability == nullptr) {
    return Later([done = std::move(done)] { done(absl::OkStatus()); });
  }
  options_.durability->SyncDeletes([open = std::weak_ptr(open_), done = std::move(done)] {
    if (!open.expired()) done(absl::OkStatus());
  });
}

void NatsLog::State(StateFn done) {
  if (!connected()) return Later([done = std::move(done)] { done(NotConnected()); });
  AskStream(session_->api.get(), options_.stream,
            [done = std::move(done)](absl::StatusOr<StreamFacts> facts) {
              if (!facts.ok()) return done(facts.status());
              done(facts->state);
            });
}

}  // namespace jetd::jetstream
