// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nats_records.h"

#include <charconv>
#include <utility>

#include "absl/time/time.h"
#include "base/error.h"
#include "base/strings.h"
#include "jetstream/long_subject.h"
#include "jetstream/nats_reader.h"
#include "jetstream/stream_setup.h"

namespace jetd::jetstream {
namespace {

constexpr size_t kGetsInFlight = 64;
// Few: a delete costs the server more than a write, under the same lock.
constexpr size_t kDeletesInFlight = 16;
// A replica that lags answers "not found" for a record that the stream's leader has.
constexpr int kMaxGetAttempts = 40;
constexpr std::chrono::milliseconds kLagPause{50};

std::string SeqRequest(StreamSeq seq, std::string_view more = "") {
  return Cat("{\"seq\":", seq.value(), more, "}");
}

// A sequence that is deleted already, also one below the stream's first (no message found), or not
// given out yet (the store's end).
bool WasGone(const ApiError& error) {
  const auto says = [&error](const char* text) {
    return error.description.find(text) != std::string::npos;
  };
  return error.err_code == js_error::kNoMessageFound ||
         error.err_code == js_error::kSequenceNotFound ||
         (error.err_code == js_error::kDeleteFailed && (says("EOF") || says("no message found")));
}

}  // namespace

struct NatsRecords::GetCall {
  size_t left = 0;
  absl::Status error;
  Log::RecordFn on_record;
  Log::DoneFn done;

  void Finish(const absl::Status& status) {
    if (error.ok()) error = status;
    if (--left == 0) done(error);
  }
};

NatsRecords::NatsRecords(Loop* loop, NatsApi* api, const StreamOptions& stream, int replicas)
    : loop_(loop),
      api_(api),
      replicas_(replicas),
      subject_prefix_(Cat("$KV.", stream.bucket, ".")),
      direct_get_(api->Subject(Cat("DIRECT.GET.", StreamName(stream)))),
      message_get_(api->Subject(Cat("STREAM.MSG.GET.", StreamName(stream)))),
      message_delete_(api->Subject(Cat("STREAM.MSG.DELETE.", StreamName(stream)))),
      gets_(kGetsInFlight),
      deletes_(kDeletesInFlight) {}

NatsRecords::~NatsRecords() {
  if (lag_timer_ != 0) loop_->Cancel(lag_timer_);
}

void NatsRecords::Submit(Window* window, Job job) {
  window->waiting.push_back(std::move(job));
  Pump(window);
}

void NatsRecords::Pump(Window* window) {
  while (!failed_ && window->sent < window->limit && !window->waiting.empty()) {
    Job job = std::move(window->waiting.front());
    window->waiting.pop_front();
    ++window->sent;
    api_->Request(job.subject, job.payload,
                  [this, alive = std::weak_ptr(alive_), window,
                   done = std::move(job.done)](absl::StatusOr<NatsMessage*> reply) {
                    --window->sent;
                    done(std::move(reply));
                    if (!alive.expired()) Pump(window);
                  });
  }
}

void NatsRecords::Get(const std::vector<StreamSeq>& seqs, Log::RecordFn on_record,
                      Log::DoneFn done) {
  auto call = std::make_shared<GetCall>();
  call->left = seqs.size();
  call->on_record = std::move(on_record);
  call->done = std::move(done);
  for (const StreamSeq seq : seqs) GetOne(call, seq, 1);
}

void NatsRecords::GetOne(const std::shared_ptr<GetCall>& call, StreamSeq seq, int attempt) {
  Submit(&gets_, GetJob(call, seq, attempt));
}

NatsRecords::Job NatsRecords::GetJob(const std::shared_ptr<GetCall>& call, StreamSeq seq,
                                     int attempt) {
  return {.subject = direct_get_,
          .payload = SeqRequest(seq),
          .done = [this, call, seq, attempt](absl::StatusOr<NatsMessage*> reply) {
            if (!reply.ok()) return call->Finish(reply.status());
            OnGot(call, seq, attempt, **reply);
          }};
}

void NatsRecords::OnGot(const std::shared_ptr<GetCall>& call, StreamSeq seq, int attempt,
                        NatsMessage& message) {
  const int status = message.status();
  if (status == 404) {
    if (replicas_ == 1) return call->Finish(absl::OkStatus());
    return ConfirmGone(call, seq, attempt);
  }
  if (status != 0) {
    return call->Finish(MakeError(Errc::kUnavailable, Cat("cannot read record ", seq.value(), ": ",
                                                          message.Header("Description"))));
  }
  Record record;
  record.seq = seq;
  absl::Time time;
  std::string error;
  if (absl::ParseTime(absl::RFC3339_full, std::string(message.Header("Nats-Time-Stamp")), &time,
                      &error)) {
    record.time_ns = absl::ToUnixNanos(time);
  }
  record.subject = TrueSubjectOf(subject_prefix_, message.Header("Nats-Subject"), message);
  record.header = message.Header("Jetd");
  record.is_delete = IsDeleteOperation(message.Header("KV-Operation"));
  record.payload = message.payload();
  record.payload_size = record.payload.size();
  call->on_record(record);
  call->Finish(absl::OkStatus());
}

// Direct gets are answered by any replica; the stream's leader alone knows what is gone.
void NatsRecords::ConfirmGone(const std::shared_ptr<GetCall>& call, StreamSeq seq, int attempt) {
  Submit(&gets_, {.subject = message_get_,
                  .payload = SeqRequest(seq),
                  .done = [this, call, seq, attempt](absl::StatusOr<NatsMessage*> reply) {
                    if (!reply.ok()) return call->Finish(reply.status());
                    const ApiError error = ApiErrorOf(ParseAnswer((*reply)->payload()));
                    if (error.err_code == js_error::kNoMessageFound)
                      return call->Finish(absl::OkStatus());
                    if (error.code != 0 || attempt >= kMaxGetAttempts) {
                      return call->Finish(MakeError(
                          Errc::kUnavailable,
                          Cat("cannot read record ", seq.value(), ": ", error.description)));
                    }
                    AskLater(GetJob(call, seq, attempt + 1));
                  }});
}

void NatsRecords::AskLater(Job job) {
  lagging_.push_back(std::move(job));
  if (lag_timer_ != 0) return;
  lag_timer_ = loop_->RunAfter(kLagPause, [this] {
    lag_timer_ = 0;
    for (Job& lagging : std::exchange(lagging_, {})) gets_.waiting.push_back(std::move(lagging));
    Pump(&gets_);
  });
}

void NatsRecords::Delete(StreamSeq seq, Log::DoneFn done) {
  ++deleted_.asked;
  Submit(&deletes_, {.subject = message_delete_,
                     .payload = SeqRequest(seq, ",\"no_erase\":true"),
                     .done = [this, done = std::move(done)](absl::StatusOr<NatsMessage*> reply) {
                       if (!reply.ok()) return done(reply.status());
                       const nlohmann::json answer = ParseAnswer((*reply)->payload());
                       const ApiError error = ApiErrorOf(answer);
                       const auto success = answer.find("success");
                       const bool deleted =
                           success != answer.end() && success->is_boolean() && success->get<bool>();
                       if (deleted) ++deleted_.made;
                       if (!deleted && WasGone(error)) --deleted_.asked;
                       if (deleted || WasGone(error)) return done(absl::OkStatus());
                       done(MakeError(Errc::kUnavailable, Cat("JetStream: ", error.description)));
                     }});
}

void NatsRecords::Drop() {
  failed_ = true;
  gets_.waiting.clear();
  deletes_.waiting.clear();
  lagging_.clear();
}

void NatsRecords::Fail(const absl::Status& why) {
  failed_ = true;
  for (Window* window : {&gets_, &deletes_}) {
    std::deque<Job> waiting;
    waiting.swap(window->waiting);
    for (Job& job : waiting) job.done(why);
  }
  for (Job& job : std::exchange(lagging_, {})) job.done(why);
}

}  // namespace jetd::jetstream
