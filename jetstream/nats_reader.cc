// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nats_reader.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "jetstream/long_subject.h"

namespace jetd::jetstream {
namespace {

// One window of records, and how far it may run empty before the next is asked for.
constexpr uint64_t kPullRecords = 8'000;
constexpr uint64_t kPullAgainBelow = 4'000;
// And of bytes: the first one, and what later ones are kept between.
constexpr uint64_t kFirstPullBytes = 256UL << 10;
constexpr uint64_t kMinPullBytes = 64UL << 10;
constexpr uint64_t kMaxPullBytes = 16UL << 20;
constexpr uint64_t kMaxGrowth = 4;
// For who follows, and is at the end: how fast the link is does not show.
constexpr uint64_t kFollowPullBytes = 1UL << 20;
// What a window is to take. Whatever else the connection carries waits for that long, and
// nats-server ends one on which a write takes ten seconds.
constexpr std::chrono::seconds kWindow{1};
constexpr std::chrono::seconds kPullExpires{30};
constexpr std::chrono::seconds kConsumerIdle{60};
// Silence while records are due, and how many consumers in a row may fall silent. After each of
// them it is twice as long: a record of a megabyte is a silence of many seconds on a slow link.
constexpr std::chrono::seconds kPatience{5};
constexpr std::chrono::seconds kMaxPatience{40};
// A sign of life of a consumer that has nothing to give, while it is followed.
constexpr std::chrono::seconds kHeartbeat{2};
constexpr int kMaxAttempts = 4;
// Until servers of a cluster have told each other of a new consumer: milliseconds, more on a busy
// machine. One that nobody hears for longer is gone.
constexpr std::chrono::milliseconds kUnheardPause{5};
constexpr int kMaxUnheard = 50;

constexpr std::string_view kAckPrefix = "$JS.ACK.";
// Tokens from the stream's name on: stream, consumer, delivered, stream sequence, consumer
// sequence, time, pending; the longer shape has domain and account before them and a random token
// behind.
constexpr size_t kMaxTokens = 12;

template <typename Int>
bool ParseInt(std::string_view text, Int& out) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), out);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

}  // namespace

bool IsDeleteOperation(std::string_view operation) {
  return operation == "DEL" || operation == "PURGE";
}

bool ParseDelivery(std::string_view reply, DeliveryFacts& out) {
  if (reply.substr(0, kAckPrefix.size()) != kAckPrefix) return false;
  std::array<std::string_view, kMaxTokens> tokens;
  size_t count = 0;
  std::string_view rest = reply.substr(kAckPrefix.size());
  while (count < kMaxTokens) {
    const size_t dot = rest.find('.');
    tokens[count++] = rest.substr(0, dot);
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  if (count != 7 && count < 9) return false;
  const size_t first = count == 7 ? 0 : 2;
  uint64_t seq = 0;
  if (!ParseInt(tokens[first + 3], seq) || !ParseInt(tokens[first + 4], out.consumer_seq) ||
      !ParseInt(tokens[first + 5], out.time_ns) || !ParseInt(tokens[first + 6], out.pending)) {
    return false;
  }
  out.stream_seq = StreamSeq(seq);
  return true;
}

NatsReader::NatsReader(Loop* loop, NatsConnection* connection, NatsApi* api, StreamOptions stream,
                       uint64_t id, Log::ReadOptions options, Log::RecordFn on_record,
                       Log::ReadDoneFn done)
    : loop_(loop),
      connection_(connection),
      api_(api),
      stream_(std::move(stream)),
      stream_name_(StreamName(stream_)),
      subject_prefix_(Cat("$KV.", stream_.bucket, ".")),
      id_(id),
      options_(std::move(options)),
      on_record_(std::move(on_record)),
      done_(std::move(done)),
      self_(std::make_shared<NatsReader*>(this)),
      next_(std::max(options_.from, StreamSeq(1))),
      patience_(kPatience),
      window_bytes_(kFirstPullBytes) {}

NatsReader::~NatsReader() {
  if (timer_ != 0) loop_->Cancel(timer_);
}

void NatsReader::Start() {
  if (options_.follow) return MakeConsumer();
  AskStream(api_, stream_, [weak = std::weak_ptr(self_)](absl::StatusOr<StreamFacts> facts) {
    const auto self = weak.lock();
    if (self == nullptr || (*self)->finished()) return;
    NatsReader& reader = **self;
    if (!facts.ok()) return reader.Finish(facts.status());
    reader.target_ = facts->state.last;
    reader.replicas_ = facts->replicas;
    if (reader.next_ > reader.target_) return reader.Finish(reader.target_);
    reader.MakeConsumer();
  });
}

void NatsReader::MakeConsumer() {
  ++round_;
  asked_ = 0;
  unheard_ = 0;
  consumer_seq_ = 0;
  timing_ = caught_up_ = false;
  const std::string inbox = Cat(connection_->inbox(), ".r.", id_, ".", round_);
  // That nobody hears the last one either ends the connection: another server may know more.
  std::function<void()> on_unheard = [this, round = round_] { OnUnheard(round); };
  if (attempts_ + 1 == kMaxAttempts) on_unheard = nullptr;
  subscription_ = connection_->Subscribe(
      inbox, [this](NatsMessage& message) { OnMessage(message); }, std::move(on_unheard));
  // A name of our own, so that it can be deleted before its answer is here.
  const std::string& unique = connection_->inbox();
  consumer_ = Cat("jetd_", unique.substr(unique.rfind('.') + 1), "_", id_, "_", round_);
  nlohmann::json config = {{"name", consumer_},
                           {"deliver_policy", "by_start_sequence"},
                           {"opt_start_seq", next_.value()},
                           {"ack_policy", "none"},
                           {"replay_policy", "instant"},
                           {"mem_storage", true},
                           {"num_replicas", 1},
                           {"inactive_threshold", std::chrono::nanoseconds(kConsumerIdle).count()}};
  if (options_.headers_only) config["headers_only"] = true;
  if (!options_.subjects.empty()) config["filter_subjects"] = Filters();
  const nlohmann::json request = {{"stream_name", stream_name_}, {"config", config}};
  api_->Request(api_->Subject(Cat("CONSUMER.CREATE.", stream_name_, ".", consumer_)),
                request.dump(),
                [weak = std::weak_ptr(self_), round = round_](absl::StatusOr<NatsMessage*> reply) {
                  const auto self = weak.lock();
                  if (self != nullptr && !(*self)->finished())
                    (*self)->OnConsumer(round, std::move(reply));
                });
}

void NatsReader::OnConsumer(uint64_t round, absl::StatusOr<NatsMessage*> reply) {
  if (round != round_) return;
  if (!reply.ok()) return TryAgain(MessageOf(reply.status()));
  const nlohmann::json answer = ParseAnswer((*reply)->payload());
  const ApiError error = ApiErrorOf(answer);
  if (error.code != 0) return TryAgain(error.description);
  pending_ = static_cast<uint64_t>(IntegerOf(answer, "num_pending", 0));
  if (pending_ == 0 && !options_.follow) return OnExhausted();
  Pull();
  ArmTimer();
}

std::vector<std::string> NatsReader::Filters() const {
  std::vector<std::string> filters;
  for (const std::string& subject : options_.subjects) {
    filters.push_back(IsLongSubject(subject) ? ShortSubjectOf(subject_prefix_, subject) : subject);
  }
  if (filters.empty()) filters.push_back(subject_prefix_ + ">");
  return filters;
}

void NatsReader::OnExhausted() {
  if (replicas_ == 1) return Finish(std::max(target_, next_.Prev()));
  ArmTimer();
  AskForMore(0);
}

// The stream's leader answers: the first record from next_ on, of each filter in turn.
void NatsReader::AskForMore(size_t filter) {
  const std::vector<std::string> filters = Filters();
  if (filter == filters.size()) return Finish(std::max(target_, next_.Prev()));
  const nlohmann::json request = {{"seq", next_.value()}, {"next_by_subj", filters[filter]}};
  api_->Request(
      api_->Subject(Cat("STREAM.MSG.GET.", stream_name_)), request.dump(),
      [weak = std::weak_ptr(self_), round = round_, filter](absl::StatusOr<NatsMessage*> reply) {
        const auto self = weak.lock();
        if (self != nullptr && !(*self)->finished()) {
          (*self)->OnNextFound(round, filter, std::move(reply));
        }
      });
}

void NatsReader::OnNextFound(uint64_t round, size_t filter, absl::StatusOr<NatsMessage*> reply) {
  if (round != round_ || consumer_.empty()) return;
  if (!reply.ok()) return TryAgain(MessageOf(reply.status()));
  const nlohmann::json answer = ParseAnswer((*reply)->payload());
  const ApiError error = ApiErrorOf(answer);
  if (error.err_code == js_error::kNoMessageFound) return AskForMore(filter + 1);
  if (error.code != 0) return TryAgain(error.description);
  const nlohmann::json message = answer.value("message", nlohmann::json::object());
  const auto found = static_cast<uint64_t>(IntegerOf(message, "seq", 0));
  if (found == 0) return TryAgain("an answer without a sequence");
  if (StreamSeq(found) > target_) return AskForMore(filter + 1);
  // There is more, and the consumer does not know yet.
  if (asked_ <= kPullAgainBelow) Pull();
}

void NatsReader::Pull() {
  const MonoTime now = loop_->Now();
  if (caught_up_) {
    window_bytes_ = std::max(window_bytes_, std::min(window_bytes_ * kMaxGrowth, kFollowPullBytes));
  } else if (timing_) {
    const auto took = std::max<std::chrono::nanoseconds>(now - pulled_at_, kWindow / 1'000);
    const uint64_t in_a_window = static_cast<uint64_t>(
        static_cast<double>(got_bytes_) * (std::chrono::duration<double>(kWindow) / took));
    window_bytes_ =
        std::clamp(in_a_window, kMinPullBytes, std::min(window_bytes_ * kMaxGrowth, kMaxPullBytes));
  }
  timing_ = true;
  caught_up_ = false;
  pulled_at_ = now;
  Ask(kPullRecords, window_bytes_);
}

void NatsReader::Ask(uint64_t records, uint64_t max_bytes) {
  nlohmann::json request = {{"batch", records},
                            {"expires", std::chrono::nanoseconds(kPullExpires).count()}};
  if (max_bytes > 0) request["max_bytes"] = max_bytes;
  if (options_.follow) {
    request["idle_heartbeat"] = std::chrono::nanoseconds(kHeartbeat).count();
  }
  asked_ += records;
  got_bytes_ = 0;
  connection_->Publish(api_->Subject(Cat("CONSUMER.MSG.NEXT.", stream_name_, ".", consumer_)),
                       Cat(connection_->inbox(), ".r.", id_, ".", round_), request.dump());
}

void NatsReader::OnUnheard(uint64_t round) {
  if (round != round_ || consumer_.empty() || Unwanted()) return;
  asked_ -= std::min(asked_, kPullRecords);
  timing_ = false;
  if (++unheard_ > kMaxUnheard) return TryAgain("nobody hears its consumer");
  log::Debug("consumer {} is not known yet, pull {}", consumer_, unheard_);
  loop_->RunAfter(kUnheardPause, [weak = std::weak_ptr(self_), round] {
    const auto self = weak.lock();
    if (self != nullptr && !(*self)->finished()) (*self)->PullAgain(round);
  });
}

void NatsReader::PullAgain(uint64_t round) {
  if (round != round_ || consumer_.empty() || Unwanted()) return;
  if (asked_ <= kPullAgainBelow) Pull();
}

void NatsReader::OnMessage(NatsMessage& message) {
  heard_ = true;
  unheard_ = 0;
  if (Unwanted()) return;
  if (message.reply().empty()) {
    OnStatus(message, message.status());
  } else {
    OnRecord(message);
  }
}

void NatsReader::OnStatus(NatsMessage& message, int status) {
  if (status != 409) caught_up_ = true;
  if (status == 100) return;  // a heartbeat
  // The window ended before it was full: by its bytes (409) or its time (408).
  const std::string_view left_text = message.Header("Nats-Pending-Messages");
  uint64_t left = 0;
  if ((status != 409 && status != 408) || !ParseInt(left_text, left)) {
    return TryAgain(Cat("status ", status, " ", message.Header("Description")));
  }
  asked_ -= std::min(asked_, left);
  // The next one is larger than a window: without a bound, and timed with what was asked before.
  if (asked_ == 0 && got_bytes_ == 0 && status == 409) return Ask(1, 0);
  if (asked_ <= kPullAgainBelow) Pull();
}

void NatsReader::OnRecord(NatsMessage& message) {
  DeliveryFacts facts;
  if (!ParseDelivery(message.reply(), facts)) return TryAgain("a message without a position");
  if (facts.consumer_seq != consumer_seq_ + 1 || facts.stream_seq < next_) {
    return TryAgain("records were lost on the way");
  }
  consumer_seq_ = facts.consumer_seq;
  attempts_ = 0;
  next_ = facts.stream_seq.Next();
  pending_ = facts.pending;
  asked_ -= std::min<uint64_t>(asked_, 1);
  got_bytes_ += message.payload().size() + message.reply().size() + message.subject().size();
  if (pending_ == 0) caught_up_ = true;

  Record record;
  record.seq = facts.stream_seq;
  record.time_ns = facts.time_ns;
  record.subject = TrueSubjectOf(subject_prefix_, message.subject(), message);
  record.header = message.Header("Jetd");
  record.is_delete = IsDeleteOperation(message.Header("KV-Operation"));
  record.payload = message.payload();
  record.payload_size = record.payload.size();
  if (options_.headers_only) {
    size_t size = 0;
    if (ParseInt(message.Header("Nats-Msg-Size"), size)) record.payload_size = size;
    record.payload = {};
  }
  const std::weak_ptr<NatsReader*> weak(self_);
  on_record_(record);
  if (weak.expired() || finished()) return;

  if (options_.follow) {
    if (asked_ <= kPullAgainBelow) Pull();
    return;
  }
  if (facts.stream_seq >= target_) return Finish(facts.stream_seq);
  if (facts.pending == 0) {
    // What is left is deleted, or filtered out, or the server miscounted: a new consumer counts
    // anew, and only its word ends a reading before the target.
    DropConsumer();
    return MakeConsumer();
  }
  if (asked_ <= kPullAgainBelow && asked_ < pending_) Pull();
}

void NatsReader::TryAgain(std::string_view why) {
  DropConsumer();
  if (++attempts_ >= kMaxAttempts) {
    return Finish(MakeError(Errc::kUnavailable, Cat("cannot read the stream: ", why)));
  }
  log::Debug("reading the stream again from {}: {}", next_.value(), why);
  MakeConsumer();
}

void NatsReader::DropConsumer() {
  if (subscription_ != 0) connection_->Unsubscribe(subscription_);
  subscription_ = 0;
  if (timer_ != 0) loop_->Cancel(timer_);
  timer_ = 0;
  if (consumer_.empty()) return;
  // Nobody waits for the answer: the server drops an idle one by itself.
  connection_->Publish(api_->Subject(Cat("CONSUMER.DELETE.", stream_name_, ".", consumer_)), "",
                       "");
  consumer_.clear();
}

void NatsReader::ArmTimer() {
  heard_ = false;
  timer_ = loop_->RunAfter(patience_, [this] {
    timer_ = 0;
    if (Unwanted()) return;
    if (!heard_) {
      patience_ = std::min<std::chrono::nanoseconds>(patience_ * 2, kMaxPatience);
      return TryAgain("the stream is silent");
    }
    ArmTimer();
  });
}

bool NatsReader::Unwanted() {
  if (!options_.follow || !options_.wanted.expired()) return false;
  DropConsumer();
  done_ = nullptr;
  return true;
}

void NatsReader::Finish(absl::StatusOr<StreamSeq> result) {
  if (finished()) return;
  DropConsumer();
  const Log::ReadDoneFn done = std::exchange(done_, nullptr);
  done(std::move(result));
}

void NatsReader::Drop() {
  consumer_.clear();
  DropConsumer();
  done_ = nullptr;
}

void NatsReader::Fail(const absl::Status& why) {
  consumer_.clear();
  Finish(why);
}

}  // namespace jetd::jetstream
