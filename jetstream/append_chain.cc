// SPDX-License-Identifier: Apache-2.0
#include "jetstream/append_chain.h"

#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "jetstream/long_subject.h"

namespace jetd::jetstream {
namespace {

constexpr std::string_view kSeqMember = "\"seq\":";
constexpr std::string_view kWrongLastSequence = "wrong last sequence: ";

std::optional<StreamSeq> LastSequenceOf(const ApiError& error) {
  if (error.err_code != js_error::kWrongLastSequence) return std::nullopt;
  const std::string_view text = error.description;
  if (text.substr(0, kWrongLastSequence.size()) != kWrongLastSequence) return std::nullopt;
  uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + kWrongLastSequence.size(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return StreamSeq(value);
}

}  // namespace

absl::Status RefusalOf(const ApiError& error) {
  const std::string text = Cat("JetStream: ", error.description, " (", error.err_code, ")");
  switch (error.err_code) {
    case 10002:  // resource limits exceeded for account
    case 10023:  // insufficient resources
    case 10028:  // memory of the server
    case 10047:  // storage of the server
    case 10077:  // the stream's store refused: maximum bytes or messages, a full disk
    case 10110:  // per-subject limit
    case 10122:  // maximum bytes
      return MakeError(Errc::kNoSpace, text);
    case 10054:  // max_msg_size of the stream
    case 10097:  // header block
      return MakeError(Errc::kRecordTooLarge, text);
    case 10167:  // the stream's queue is full
      return MakeError(Errc::kTooManyRequests, text);
    default:
      return MakeError(error.code == 429 ? Errc::kTooManyRequests : Errc::kUnavailable, text);
  }
}

AppendChain::AppendChain(Loop* loop, NatsConnection* connection, Options options,
                         Callbacks callbacks)
    : loop_(loop),
      connection_(connection),
      options_(std::move(options)),
      callbacks_(std::move(callbacks)),
      inbox_(connection->inbox() + ".a.") {
  connection_->Subscribe(inbox_ + "*", [this](NatsMessage& message) { OnReply(message); });
}

AppendChain::~AppendChain() {
  if (timer_ != 0) loop_->Cancel(timer_);
}

uint64_t AppendChain::Enqueue(StreamSeq predicted, Log::SeqFn barrier) {
  Pending& pending = pending_.emplace_back();
  pending.seq = predicted;
  pending.sent = loop_->Now();
  pending.barrier = std::move(barrier);
  if (timer_ == 0) {
    timer_ = loop_->RunAt(pending_.front().sent + options_.patience, [this] { CheckPatience(); });
  }
  return first_serial_ + pending_.size() - 1;
}

void AppendChain::Append(StreamSeq predicted, const NewRecord& record) {
  if (failed_) return;
  SendHeld(/*asks=*/false);
  const uint64_t serial = Enqueue(predicted, nullptr);
  if (MayGoUnanswered(predicted, record)) {
    Hold(record);
  } else {
    Send(record.subject, serial, predicted.value() - 1, record);
  }
}

bool AppendChain::MayGoUnanswered(StreamSeq predicted, const NewRecord& record) {
  if (!options_.answer_for_group || predicted <= options_.sent_before) return false;
  if (ask_more_ > 0) {
    --ask_more_;
    return false;
  }
  return record.payload.size() <= kMaxHeldBytes;
}

void AppendChain::Hold(const NewRecord& record) {
  held_ = true;
  held_subject_.assign(record.subject);
  held_header_.assign(record.header);
  held_payload_.assign(record.payload);
  held_is_delete_ = record.is_delete;
}

void AppendChain::SendHeld(bool asks) {
  if (!held_) return;
  held_ = false;
  Pending& pending = pending_.back();
  pending.asks = asks;
  const uint64_t serial = first_serial_ + pending_.size() - 1;
  Send(held_subject_, asks ? serial : 0, pending.seq.value() - 1,
       {.subject = held_subject_,
        .header = held_header_,
        .is_delete = held_is_delete_,
        .payload = held_payload_});
}

void AppendChain::EndGroup() {
  if (!failed_) SendHeld(/*asks=*/true);
}

void AppendChain::Barrier(Log::SeqFn done) {
  if (failed_) return;
  SendHeld(/*asks=*/true);
  const uint64_t serial = Enqueue(StreamSeq(), std::move(done));
  // No stream ever gets there, so this is refused, with the last sequence in the text.
  Send(options_.barrier_subject, serial, std::numeric_limits<uint64_t>::max(), NewRecord{});
}

void AppendChain::Send(std::string_view subject, uint64_t serial, uint64_t expected_last,
                       const NewRecord& record) {
  subject_.assign(options_.publish_prefix);
  reply_.clear();
  if (serial != 0) CatTo(reply_, inbox_, serial);
  expected_.clear();
  CatTo(expected_, expected_last);
  std::array<NatsConnection::HeaderLine, 4> lines;
  size_t count = 0;
  lines[count++] = {"Nats-Expected-Last-Sequence", expected_.c_str()};
  if (!record.header.empty()) {
    header_.assign(record.header);
    lines[count++] = {"Jetd", header_.c_str()};
  }
  if (IsLongSubject(subject)) {
    subject_.append(ShortSubjectOf(options_.subject_prefix, subject));
    true_subject_.assign(subject);
    lines[count++] = {kSubjectHeader, true_subject_.c_str()};
  } else {
    subject_.append(subject);
  }
  if (record.is_delete) lines[count++] = {"KV-Operation", "DEL"};
  connection_->Publish(subject_, reply_, record.payload, std::span(lines.data(), count));
}

void AppendChain::OnReply(NatsMessage& message) {
  if (failed_) return;
  const std::string_view token = message.subject().substr(inbox_.size());
  uint64_t serial = 0;
  std::from_chars(token.data(), token.data() + token.size(), serial);
  if (serial < first_serial_ || serial >= first_serial_ + pending_.size()) return;
  Pending& pending = pending_[serial - first_serial_];
  if (pending.state != State::kWaiting) return;
  if (!Resolve(pending, message)) {
    Break(MakeError(Errc::kCorrupt, Cat("JetStream answered the append of ", pending.seq.value(),
                                        " with ", message.payload().substr(0, 200))));
    return;
  }
  if (!ResolveGroup(serial - first_serial_)) {
    Break(MakeError(Errc::kUnavailable,
                    Cat("JetStream's queue is full, and appends without an answer of their own "
                        "are in it: ",
                        MessageOf(pending.why))));
    return;
  }
  TellInOrder();
}

bool AppendChain::ResolveGroup(size_t index) {
  const Pending& last = pending_[index];
  if (last.state == State::kRefused) ask_more_ = kAskAfterRefusal;
  for (size_t i = index; i > 0; --i) {
    Pending& before = pending_[i - 1];
    if (before.asks || before.state != State::kWaiting) break;
    // That answer came in front of the queue, in which these still are.
    if (GetErrc(last.why) == Errc::kTooManyRequests) return false;
    before.state = last.state;
    before.why = last.why;
  }
  return true;
}

bool AppendChain::Resolve(Pending& pending, NatsMessage& message) {
  const std::string_view payload = message.payload();
  const bool is_barrier = pending.barrier != nullptr;
  if (!is_barrier && IsExpectedAck(payload, pending.seq)) {
    pending.state = State::kAppended;
    return true;
  }
  const nlohmann::json answer = ParseAnswer(payload);
  const ApiError error = ApiErrorOf(answer);
  if (error.code == 0) {
    // An ack that the comparison did not know, most often the first.
    const auto seq = answer.find("seq");
    if (is_barrier || seq == answer.end() || !seq->is_number_unsigned() ||
        seq->get<uint64_t>() != pending.seq.value()) {
      return false;
    }
    LearnAck(payload, pending.seq);
    pending.state = State::kAppended;
    return true;
  }
  if (is_barrier) {
    if (const std::optional<StreamSeq> last = LastSequenceOf(error)) {
      pending.seq = *last;
      pending.state = State::kBarrierDone;
      return true;
    }
  }
  pending.why = RefusalOf(error);
  pending.state = State::kRefused;
  return true;
}

bool AppendChain::IsExpectedAck(std::string_view payload, StreamSeq seq) {
  if (ack_before_.empty()) return false;
  ack_.assign(ack_before_);
  CatTo(ack_, seq.value());
  ack_.append(ack_after_);
  return payload == ack_;
}

void AppendChain::LearnAck(std::string_view payload, StreamSeq seq) {
  const size_t member = payload.find(kSeqMember);
  if (member == std::string_view::npos) return;
  const std::string number = Cat(seq.value());
  const size_t begin = payload.find(number, member + kSeqMember.size());
  if (begin == std::string_view::npos) return;
  ack_before_ = payload.substr(0, begin);
  ack_after_ = payload.substr(begin + number.size());
}

void AppendChain::TellInOrder() {
  while (!failed_ && !pending_.empty() && pending_.front().state != State::kWaiting) {
    const Pending answered = std::move(pending_.front());
    pending_.pop_front();
    ++first_serial_;
    if (answered.barrier != nullptr) {
      if (answered.state == State::kBarrierDone) {
        answered.barrier(answered.seq);
      } else {
        answered.barrier(answered.why);
      }
    } else if (answered.state == State::kAppended) {
      callbacks_.appended(answered.seq);
    } else {
      callbacks_.refused(answered.seq, answered.why);
    }
  }
}

void AppendChain::CheckPatience() {
  timer_ = 0;
  if (failed_ || pending_.empty()) return;
  const MonoTime deadline = pending_.front().sent + options_.patience;
  if (loop_->Now() >= deadline) {
    Break(MakeError(Errc::kUnavailable, "JetStream did not answer a write in time"));
    return;
  }
  timer_ = loop_->RunAt(deadline, [this] { CheckPatience(); });
}

void AppendChain::Break(const absl::Status& why) { callbacks_.broken(why); }

void AppendChain::Drop() {
  failed_ = true;
  pending_.clear();
}

void AppendChain::Fail(const absl::Status& why) {
  failed_ = true;
  std::deque<Pending> pending;
  pending.swap(pending_);
  for (Pending& one : pending) {
    if (one.barrier != nullptr) one.barrier(why);
  }
}

}  // namespace jetd::jetstream
