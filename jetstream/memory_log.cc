// SPDX-License-Identifier: Apache-2.0
#include "jetstream/memory_log.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/strings.h"

namespace jetd::jetstream {

// One leg of the way: messages wait for their time, then run one a turn. An ordered pipe runs them
// as they were pushed; another one by time.
class MemoryLog::Pipe {
 public:
  struct Message {
    std::function<void()> run;
    std::shared_ptr<MemoryStream::Stored> append;  // what it brings to the stream, if that
    StreamSeq deletes{0};                          // what it deletes there, if that
  };
  enum class Order { kPushed, kTime };

  Pipe(Executor* executor, Order order, std::function<std::chrono::nanoseconds()> delay)
      : executor_(executor), order_(order), delay_(std::move(delay)) {}

  void Push(Message message) {
    MonoTime due = executor_->Now();
    if (delay_) due += delay_();
    if (order_ == Order::kPushed) due = std::max(due, last_due_);
    last_due_ = due;
    const auto at = messages_.emplace(due, std::move(message));
    if (at == messages_.begin()) Schedule();
  }

  // Empties the pipe; what was in it is the caller's.
  std::vector<Message> TakeAll() {
    std::vector<Message> all;
    for (auto& [due, message] : messages_) all.push_back(std::move(message));
    messages_.clear();
    return all;
  }

  void Hold() {
    held_ = true;
    passes_ = 0;
  }
  void Release() {
    held_ = false;
    Schedule();
  }
  void Pass(size_t count) {
    passes_ += count;
    Schedule();
  }
  [[nodiscard]] size_t size() const { return messages_.size(); }

 private:
  [[nodiscard]] bool Stands() const { return messages_.empty() || (held_ && passes_ == 0); }

  // A new schedule makes an older one void.
  void Schedule() {
    ++schedule_;
    if (Stands()) return;
    auto run = [this, schedule = schedule_, alive = std::weak_ptr<char>(alive_)] {
      if (!alive.expired() && schedule == schedule_) RunFirst();
    };
    const MonoTime due = messages_.begin()->first;
    if (due <= executor_->Now()) {
      executor_->Defer(std::move(run));
    } else {
      executor_->RunAt(due, std::move(run));
    }
  }

  void RunFirst() {
    if (Stands()) return;
    const Message message = std::move(messages_.extract(messages_.begin()).mapped());
    if (held_) --passes_;
    Schedule();
    message.run();  // may destroy this
  }

  Executor* const executor_;
  const Order order_;
  const std::function<std::chrono::nanoseconds()> delay_;
  std::multimap<MonoTime, Message> messages_;
  MonoTime last_due_{0};
  bool held_ = false;
  size_t passes_ = 0;
  uint64_t schedule_ = 0;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

struct MemoryLog::ReadJob {
  uint64_t id = 0;
  ReadOptions options;
  RecordFn on_record;
  ReadDoneFn done;
  bool started = false;
  StreamSeq target{0};  // the stream's last sequence when the read got there

  [[nodiscard]] bool Wants(std::string_view subject) const {
    return options.subjects.empty() ||
           std::any_of(options.subjects.begin(), options.subjects.end(),
                       [&](const std::string& p) { return SubjectMatches(p, subject); });
  }
};

MemoryLog::MemoryLog(Executor* executor, MemoryStream* stream, Options options)
    : executor_(executor),
      stream_(stream),
      options_(std::move(options)),
      requests_(
          std::make_unique<Pipe>(executor, Pipe::Order::kPushed, options_.faults.request_delay)),
      answers_(
          std::make_unique<Pipe>(executor, Pipe::Order::kPushed, options_.faults.answer_delay)),
      api_(std::make_unique<Pipe>(executor, Pipe::Order::kTime, options_.faults.api_delay)),
      sync_(std::make_unique<Pipe>(executor, Pipe::Order::kPushed, options_.faults.sync_delay)) {}

MemoryLog::~MemoryLog() { Close(); }

void MemoryLog::Open(Observer* observer, DoneFn /*fatal: nothing is wrong for good here*/) {
  JETD_CHECK(link_ == Link::kClosed) << "open already";
  observer_ = observer;
  link_ = Link::kDown;
  alive_ = std::make_shared<char>();
  listener_ = stream_->AddListener([this](const MemoryStream::Stored& record, const void* writer) {
    StreamGrew(record, writer);
  });
  if (options_.connect_on_open) Reconnect();
}

void MemoryLog::Close() {
  if (link_ == Link::kClosed) return;
  link_ = Link::kClosed;
  LoseRequests();
  expected_.clear();
  stream_->RemoveListener(listener_);
  observer_ = nullptr;
  alive_.reset();
}

void MemoryLog::Disconnect() {
  if (link_ == Link::kConnecting) link_ = Link::kDown;
  if (link_ == Link::kBroken) reconnect_asked_ = false;
  if (link_ != Link::kUp) return;
  link_ = Link::kBroken;
  reconnect_asked_ = false;
  LoseRequests();
  cut_off_at_.reset();
  cut_off_records_.clear();
  Later([this] { TellDisconnected(); });
}

void MemoryLog::Reconnect() {
  if (link_ == Link::kBroken) reconnect_asked_ = true;
  if (link_ != Link::kDown) return;
  link_ = Link::kConnecting;
  Later([this] { TellConnected(); });
}

void MemoryLog::CutOff() {
  if (link_ != Link::kUp || cut_off_at_.has_value()) return;
  cut_off_at_ = stream_->last();
  cut_off_records_ = stream_->records();
}

void MemoryLog::TellConnected() {
  if (link_ != Link::kConnecting) return;
  link_ = Link::kUp;
  observer_->OnConnected(Info());
}

void MemoryLog::TellDisconnected() {
  link_ = Link::kDown;
  const absl::Status why = MakeError(Errc::kUnavailable, "connection lost");
  const std::map<uint64_t, FailFn> expected = std::exchange(expected_, {});
  const std::weak_ptr<char> alive = alive_;
  for (const auto& [id, fail] : expected) {
    fail(why);
    if (alive.expired()) return;
  }
  const bool reconnect = std::exchange(reconnect_asked_, false);
  observer_->OnDisconnected(why);
  if (!alive.expired() && reconnect) Reconnect();
}

void MemoryLog::LoseRequests() {
  std::vector<Pipe::Message> lost = requests_->TakeAll();
  for (Pipe::Message& message : api_->TakeAll()) lost.push_back(std::move(message));
  answers_->TakeAll();
  sync_->TakeAll();
  followers_.clear();
  held_.reset();
  group_.clear();
  sent_before_ = highest_predicted_;
  ask_more_ = 0;
  acked_ = StreamSeq(0);
  syncing_ = StreamSeq(0);
  if (!options_.faults.fate) return;
  for (const Pipe::Message& message : lost) {
    if (message.append != nullptr) {
      // What is cut off gets nowhere.
      const AppendFate fate =
          cut_off_at_.has_value() ? AppendFate::kNever : options_.faults.fate(message.append->seq);
      if (fate == AppendFate::kLands || fate == AppendFate::kTwice) {
        // Refused or not: nobody hears of it.
        stream_->Append(*message.append, NowNs(), this).IgnoreError();
      }
      if (fate == AppendFate::kLate || fate == AppendFate::kTwice) {
        stream_->KeepLate(std::move(*message.append));
      }
    } else if (message.deletes.value() != 0 && !cut_off_at_.has_value() &&
               options_.faults.fate(message.deletes) == AppendFate::kLands) {
      stream_->Delete(message.deletes);
    }
  }
}

MemoryLog::Pipe& MemoryLog::PipeOf(Leg leg) const {
  switch (leg) {
    case Leg::kRequest:
      return *requests_;
    case Leg::kAnswer:
      return *answers_;
    case Leg::kApi:
      return *api_;
    case Leg::kSync:
      break;
  }
  return *sync_;
}

void MemoryLog::Hold(Leg leg) { PipeOf(leg).Hold(); }
void MemoryLog::Release(Leg leg) { PipeOf(leg).Release(); }
void MemoryLog::Pass(Leg leg, size_t count) { PipeOf(leg).Pass(count); }
size_t MemoryLog::waiting(Leg leg) const { return PipeOf(leg).size(); }

void MemoryLog::Later(std::function<void()> fn) {
  executor_->Defer([alive = std::weak_ptr<char>(alive_), fn = std::move(fn)] {
    if (!alive.expired()) fn();
  });
}

uint64_t MemoryLog::Expect(FailFn fail) {
  if (link_ == Link::kUp || link_ == Link::kBroken) {
    const uint64_t id = next_request_++;
    expected_.emplace(id, std::move(fail));
    // On a broken link it is only noted: TellDisconnected answers it.
    return link_ == Link::kUp ? id : 0;
  }
  Later([fail = std::move(fail)] { fail(MakeError(Errc::kUnavailable, "not connected")); });
  return 0;
}

bool MemoryLog::Settle(uint64_t id) { return expected_.erase(id) > 0; }

void MemoryLog::Append(StreamSeq predicted, const NewRecord& record) {
  JETD_CHECK(record.subject.size() <= options_.max_subject_bytes) << record.subject.size();
  JETD_CHECK(record.payload.size() <= options_.max_payload_bytes) << record.payload.size();
  if (link_ != Link::kUp) return;
  SendHeld(Place::kBefore);
  held_ = std::make_shared<MemoryStream::Stored>(MemoryStream::Own(predicted, record));
  highest_predicted_ = std::max(highest_predicted_, predicted);
  if (!MayGoUnanswered(predicted)) return SendHeld(Place::kLast);
  if (group_.empty()) Later([this] { SendHeld(Place::kLast); });
}

bool MemoryLog::MayGoUnanswered(StreamSeq predicted) {
  if (!options_.answer_for_group || predicted <= sent_before_) return false;
  if (ask_more_ == 0) return true;
  --ask_more_;
  return false;
}

void MemoryLog::SendHeld(Place place) {
  if (held_ == nullptr || link_ != Link::kUp) return;
  const auto append = std::exchange(held_, nullptr);
  group_.push_back(append->seq);
  std::vector<StreamSeq> group;
  if (place == Place::kLast) group.swap(group_);
  requests_->Push({.run = [this, append, group] { AppendArrives(std::move(*append), group); },
                   .append = append});
}

void MemoryLog::AppendArrives(MemoryStream::Stored record, const std::vector<StreamSeq>& group) {
  const StreamSeq seq = record.seq;
  if (cut_off_at_.has_value()) return;
  absl::Status status;
  if (options_.faults.refuse) status = options_.faults.refuse(seq);
  if (status.ok()) status = stream_->Append(std::move(record), NowNs(), this);
  if (group.empty()) return;
  answers_->Push({.run = [this, group, status] { AnswerArrives(group, status); }});
}

void MemoryLog::AnswerArrives(const std::vector<StreamSeq>& group, const absl::Status& status) {
  if (!status.ok()) ask_more_ = kAskAfterRefusal;
  if (GetErrc(status) == Errc::kTooManyRequests && group.size() > 1) {
    Disconnect();
    return Reconnect();
  }
  if (status.ok()) {
    acked_ = std::max(acked_, group.back());
    StartSync();
  }
  const std::weak_ptr<char> alive = alive_;
  for (const StreamSeq seq : group) {
    if (alive.expired() || link_ != Link::kUp) return;
    if (status.ok()) {
      observer_->OnAppended(seq);
    } else {
      observer_->OnRefused(seq, status);
    }
  }
}

void MemoryLog::StartSync() {
  if (syncing_.value() != 0) return;
  syncing_ = acked_;
  sync_->Push({.run = [this] {
    const StreamSeq safe = std::exchange(syncing_, StreamSeq(0));
    stream_->SyncRecords(safe);
    if (acked_ > safe) StartSync();
    observer_->OnDurable(safe);
  }});
}

void MemoryLog::RequestDurable(StreamSeq seq) {
  JETD_CHECK(seq <= stream_->last() || link_ != Link::kUp) << seq;
  if (link_ != Link::kUp) return;
  acked_ = std::max(acked_, seq);
  StartSync();
}

void MemoryLog::Barrier(SeqFn done) {
  const uint64_t id = Expect([done](const absl::Status& why) { done(why); });
  if (id == 0) return;
  SendHeld(Place::kLast);
  requests_->Push({.run = [this, id, done = std::move(done)] {
    answers_->Push({.run = [this, id, done, last = Last()] {
      if (Settle(id)) done(last);
    }});
  }});
}

void MemoryLog::Read(const ReadOptions& options, RecordFn on_record, ReadDoneFn done) {
  const uint64_t id = Expect([done](const absl::Status& why) { done(why); });
  if (id == 0) return;
  auto job = std::make_shared<ReadJob>();
  job->id = id;
  job->options = options;
  job->on_record = std::move(on_record);
  job->done = std::move(done);
  api_->Push({.run = [this, job] { ReadStep(job); }});
}

void MemoryLog::ReadStep(const std::shared_ptr<ReadJob>& job) {
  if (expected_.count(job->id) == 0) return;
  if (job->options.follow && job->options.wanted.expired()) {
    Settle(job->id);
    return;
  }
  if (!std::exchange(job->started, true)) job->target = Last();
  StreamSeq& from = job->options.from;
  for (size_t n = 0; n < options_.read_batch; ++n) {
    const auto found = Records().lower_bound(from);
    const MemoryStream::StoredPtr record = found == Records().end() ? nullptr : found->second;
    if (record == nullptr || record->seq > job->target) return OnReadEnd(job);
    from = record->seq.Next();
    if (!job->Wants(record->subject)) continue;
    const std::weak_ptr<char> alive = alive_;
    job->on_record(record->View(job->options.headers_only));
    if (alive.expired() || expected_.count(job->id) == 0) return;
  }
  api_->Push({.run = [this, job] { ReadStep(job); }});
}

void MemoryLog::OnReadEnd(const std::shared_ptr<ReadJob>& job) {
  if (!job->options.follow) {
    if (Settle(job->id)) job->done(job->target);
    return;
  }
  if (job->target < Last()) {
    job->started = false;
    api_->Push({.run = [this, job] { ReadStep(job); }});
  } else {
    followers_.push_back(job);
  }
}

void MemoryLog::Get(const std::vector<StreamSeq>& seqs, RecordFn on_record, DoneFn done) {
  const uint64_t id = Expect([done](const absl::Status& why) { done(why); });
  if (id == 0) return;
  api_->Push({.run = [this, id, seqs, on_record = std::move(on_record), done = std::move(done)] {
    const std::weak_ptr<char> alive = alive_;
    for (const StreamSeq seq : seqs) {
      const auto found = Records().find(seq);
      if (found == Records().end()) continue;
      const MemoryStream::StoredPtr record = found->second;
      on_record(record->View(/*headers_only=*/false));
      if (alive.expired()) return;
    }
    if (Settle(id)) done(absl::OkStatus());
  }});
}

void MemoryLog::Delete(StreamSeq seq, DoneFn done) {
  const uint64_t id = Expect([done](const absl::Status& why) { done(why); });
  if (id == 0) return;
  if (options_.puts_off_deletions) {
    put_off_.insert(seq);
    Later([this, id, done = std::move(done)] {
      if (Settle(id)) done(absl::OkStatus());
    });
    return;
  }
  api_->Push({.run =
                  [this, id, seq, done = std::move(done)] {
                    if (cut_off_at_.has_value()) return;
                    stream_->Delete(seq);
                    if (Settle(id)) done(absl::OkStatus());
                  },
              .deletes = seq});
}

void MemoryLog::AppendPutOff(std::vector<StreamSeq>* seqs) const {
  seqs->insert(seqs->end(), put_off_.begin(), put_off_.end());
}

void MemoryLog::SyncDeletes(DoneFn done) {
  const uint64_t id = Expect([done](const absl::Status& why) { done(why); });
  if (id == 0) return;
  api_->Push({.run = [this, id, done = std::move(done)] {
    stream_->SyncDeletes();
    if (Settle(id)) done(absl::OkStatus());
  }});
}

void MemoryLog::State(StateFn done) {
  const uint64_t id = Expect([done](const absl::Status& why) { done(why); });
  if (id == 0) return;
  api_->Push({.run = [this, id, done = std::move(done)] {
    if (Settle(id)) done(stream_->State());
  }});
}

void MemoryLog::Room(RoomFn done) {
  if (!options_.tells_room) return Log::Room(std::move(done));
  State([this, done = std::move(done)](const absl::StatusOr<StreamState>& state) {
    if (!state.ok()) return done(state.status());
    RoomInfo room;
    room.state = *state;
    if (stream_->max_bytes() != MemoryStream::kNoLimit) {
      room.free_bytes = stream_->max_bytes() - std::min(stream_->max_bytes(), state->bytes);
      room.bound = "the stream's limit";
    }
    done(std::move(room));
  });
}

void MemoryLog::StreamGrew(const MemoryStream::Stored& record, const void* writer) {
  if (link_ == Link::kUp && !cut_off_at_.has_value()) {
    for (const auto& job : std::exchange(followers_, {})) {
      job->started = false;
      api_->Push({.run = [this, job] { ReadStep(job); }});
    }
  }
  if (link_ != Link::kUp || cut_off_at_.has_value() || writer == this) return;
  if (record.subject != Cat(stream_->prefix(), "_jetd.term")) return;
  Later([this] {
    if (link_ == Link::kUp) observer_->OnForeignTerm();
  });
}

LogInfo MemoryLog::Info() const {
  LogInfo info;
  info.bucket = stream_->bucket();
  info.subject_prefix = stream_->prefix();
  info.max_subject_bytes = options_.max_subject_bytes;
  info.max_payload_bytes = options_.max_payload_bytes;
  info.replicas = options_.replicas;
  info.created_ns = stream_->created_ns();
  info.server_version = "memory";
  return info;
}

}  // namespace jetd::jetstream
