// SPDX-License-Identifier: Apache-2.0
#include "revision/peers.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "base/peerpb/peer.pb.h"
#include "base/strings.h"

namespace jetd::revision {
namespace {

using jetdpb::PeerAnswer;
using jetdpb::PeerMember;
using jetdpb::PeerNews;
using jetdpb::PeerRequest;

constexpr const char* kNewsTopic = "news";
// Requests that come between a term record and its ack. Beyond: they stay without an answer.
constexpr size_t kMaxEarly = 4'096;

std::string TopicOf(Term term) { return Cat("lead.", term.value()); }

void Fill(const Peers::Member& member, PeerMember* out) {
  out->set_id(member.id);
  out->set_name(member.name);
  for (const std::string& url : member.client_urls) out->add_client_urls(url);
}

Peers::Member MemberOf(const PeerMember& member) {
  return {member.id(), member.name(), {member.client_urls().begin(), member.client_urls().end()}};
}

}  // namespace

Peers::Peers(Executor* executor, jetstream::Messenger* messenger, Member self)
    : executor_(executor), messenger_(messenger), self_(std::move(self)) {
  news_ = messenger_->Subscribe(kNewsTopic, [this](std::string_view news) { OnNews(news); });
}

Peers::~Peers() {
  messenger_->Drop(news_);
  if (serving_ != 0) messenger_->Drop(serving_);
  if (served_before_ != 0) messenger_->Drop(served_before_);
  executor_->Cancel(forget_);
  executor_->Cancel(hello_);
}

void Peers::Rest() {
  ++epoch_;
  role_ = Role::kNone;
  found_ = false;
  connection_ = 0;
  if (serving_ != 0) messenger_->Drop(std::exchange(serving_, 0));
  if (served_before_ != 0) messenger_->Drop(std::exchange(served_before_, 0));
  early_.clear();
  followers_.clear();
  executor_->Cancel(std::exchange(hello_, 0));
  FailAsked();
}

// ---- Leading ------------------------------------------------------------------------------------

void Peers::Listen(Term term) {
  if (role_ == Role::kLeading) {
    // A leader goes on in a new term. Its followers ask in the old one until they have read that.
    if (served_before_ != 0) messenger_->Drop(served_before_);
    served_before_ = serving_;
  } else {
    Rest();
  }
  role_ = Role::kListening;
  term_ = term;
  serving_ = messenger_->Serve(TopicOf(term), [this](std::string_view request, AnswerFn answer) {
    OnRequest(request, std::move(answer));
  });
}

void Peers::Lead() {
  role_ = Role::kLeading;
  for (Early& early : std::exchange(early_, {})) OnRequest(early.request, std::move(early.answer));
}

void Peers::OnRequest(std::string_view bytes, AnswerFn answer) {
  if (role_ == Role::kListening) {
    if (early_.size() < kMaxEarly) early_.push_back({std::string(bytes), std::move(answer)});
    return;
  }
  PeerRequest request;
  if (role_ != Role::kLeading ||
      !request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return;
  }
  const auto alive = std::weak_ptr<char>(alive_);
  if (request.has_hello()) {
    AnswerHello(request, answer);
  } else if (request.has_barrier()) {
    owner_->OnBarrierAsked([this, answer, alive](const absl::StatusOr<StreamSeq>& committed) {
      if (alive.expired()) return;
      PeerAnswer reply;
      reply.set_code(committed.ok() ? 0 : static_cast<int>(committed.status().code()));
      if (committed.ok()) {
        reply.set_committed(committed->value());
        reply.set_revision(owner_->CommittedRevision().value());
      }
      answer(reply.SerializeAsString());
    });
  } else if (request.has_call() && call_handler_) {
    call_handler_(request.call().method(), request.call().request(),
                  [this, answer, alive](CallAnswer told) {
                    if (alive.expired()) return;
                    PeerAnswer reply;
                    reply.set_committed(owner_->CommittedSeq().value());
                    reply.set_revision(owner_->CommittedRevision().value());
                    reply.set_code(told.code);
                    reply.set_text(std::move(told.text));
                    reply.set_response(std::move(told.response));
                    answer(reply.SerializeAsString());
                  });
  }
}

void Peers::AnswerHello(const PeerRequest& request, const AnswerFn& answer) {
  const PeerMember& member = request.hello().member();
  if (member.id() == self_.id && !std::exchange(warned_, true)) {
    log::Warn("another member is called {} too; give each member a --name of its own", self_.name);
  }
  followers_[member.id()] = {MemberOf(member), executor_->Now()};
  if (forget_ == 0) forget_ = executor_->RunAfter(kMemberKept, [this] { Forget(); });
  PeerAnswer reply;
  reply.set_committed(owner_->CommittedSeq().value());
  reply.set_connection(owner_->Connection());
  for (const Member& known : members()) Fill(known, reply.add_members());
  answer(reply.SerializeAsString());
  const jetdpb::PeerHello& hello = request.hello();
  if (hello.lost_revision() == 0) return;
  owner_->OnLossTold(member.name(), {Revision(hello.lost_revision()),
                                     {StreamSeq(hello.lost_seq()), hello.lost_time_ns()}});
}

void Peers::Forget() {
  forget_ = 0;
  const MonoTime since = executor_->Now() - kMemberKept;
  std::erase_if(followers_, [since](const auto& entry) { return entry.second.heard < since; });
  if (!followers_.empty()) forget_ = executor_->RunAfter(kMemberKept, [this] { Forget(); });
}

void Peers::Announce() {
  if (followers_.empty() || announcing_) return;
  announcing_ = true;
  executor_->Defer([this, alive = std::weak_ptr<char>(alive_)] {
    if (alive.expired()) return;
    announcing_ = false;
    if (role_ == Role::kLeading) PublishNews(0);
  });
}

void Peers::NameSuccessor(uint64_t member_id) { PublishNews(member_id); }

void Peers::PublishNews(uint64_t successor) {
  PeerNews news;
  news.set_term(term_.value());
  news.set_committed(owner_->CommittedSeq().value());
  news.set_successor(successor);
  messenger_->Publish(kNewsTopic, news.SerializeAsString());
}

uint64_t Peers::AnyFollower() const {
  const auto newest = std::max_element(
      followers_.begin(), followers_.end(),
      [](const auto& a, const auto& b) { return a.second.heard < b.second.heard; });
  return newest == followers_.end() ? 0 : newest->first;
}

bool Peers::IsFollower(uint64_t member_id) const { return followers_.count(member_id) > 0; }

std::vector<Peers::Member> Peers::members() const {
  if (role_ == Role::kFollowing && !members_.empty()) return members_;
  std::vector<Member> all = {self_};
  for (const auto& [id, follower] : followers_) all.push_back(follower.member);
  return all;
}

// ---- Following ----------------------------------------------------------------------------------

void Peers::Follow(Term term, std::chrono::nanoseconds grace) {
  Rest();
  role_ = Role::kFollowing;
  term_ = term;
  heard_ = executor_->Now();
  grace_until_ = executor_->Now() + grace;
  SayHello();
}

void Peers::SayHello() {
  // One after the other, whether the one before was answered or not: a leader that is killed may
  // take a hello with it, and the next one finds out.
  hello_ = executor_->RunAfter(kHelloInterval, [this] { SayHello(); });
  PeerRequest request;
  jetdpb::PeerHello* hello = request.mutable_hello();
  Fill(self_, hello->mutable_member());
  if (lost_.has_value()) {
    hello->set_lost_revision(lost_->revision.value());
    hello->set_lost_seq(lost_->mark.seq.value());
    hello->set_lost_time_ns(lost_->mark.time_ns);
  }
  messenger_->Request(TopicOf(term_), request.SerializeAsString(), kSilence,
                      [this, epoch = epoch_, alive = std::weak_ptr<char>(alive_)](
                          const absl::StatusOr<std::string>& bytes) {
                        if (alive.expired() || epoch != epoch_) return;
                        PeerAnswer answer;
                        if (!bytes.ok()) return OnHelloAnswer(bytes.status());
                        if (answer.ParseFromString(*bytes)) OnHelloAnswer(std::move(answer));
                      });
}

void Peers::OnHelloAnswer(const absl::StatusOr<PeerAnswer>& answer) {
  const MonoTime now = executor_->Now();
  if (answer.ok()) {
    heard_ = now;
    const uint64_t before = std::exchange(connection_, answer->connection());
    if (before != 0 && before != connection_) FailAsked();
    members_.clear();
    for (const PeerMember& member : answer->members()) members_.push_back(MemberOf(member));
    const uint64_t epoch = epoch_;
    if (!std::exchange(found_, true)) owner_->OnLeaderFound();
    if (epoch == epoch_) owner_->OnAnnounced(StreamSeq(answer->committed()));
    return;
  }
  const Errc why = GetErrc(answer.status());
  if (why == Errc::kNoLeader && now >= grace_until_) {
    LoseLeader(MakeError(Errc::kNoLeader, "nobody leads"));
  } else if (why == Errc::kTimeout && now - heard_ >= kSilence) {
    LoseLeader(MakeError(Errc::kTimeout, "the leader does not answer"));
  }
}

void Peers::LoseLeader(const absl::Status& why) {
  Rest();
  owner_->OnLeaderGone(why);
}

void Peers::OnNews(std::string_view bytes) {
  PeerNews news;
  if (role_ != Role::kFollowing ||
      !news.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return;
  }
  // Whoever says so, it is true for ever.
  const uint64_t epoch = epoch_;
  owner_->OnAnnounced(StreamSeq(news.committed()));
  if (epoch != epoch_ || Term(news.term()) != term_) return;
  heard_ = executor_->Now();
  if (news.successor() == self_.id) owner_->OnSuccession();
}

void Peers::Ask(const PeerRequest& request, std::chrono::nanoseconds patience, Asked done) {
  const uint64_t number = next_asked_++;
  if (role_ != Role::kFollowing || !found_) {
    executor_->Defer(
        [done = std::move(done)] { done(MakeError(Errc::kNoLeader, "no leader is known")); });
    return;
  }
  asked_[number] = std::move(done);
  messenger_->Request(TopicOf(term_), request.SerializeAsString(), patience,
                      [this, number, alive = std::weak_ptr<char>(alive_)](
                          const absl::StatusOr<std::string>& bytes) {
                        if (alive.expired()) return;
                        auto node = asked_.extract(number);
                        if (node.empty()) return;
                        PeerAnswer answer;
                        if (!bytes.ok()) return node.mapped()(bytes.status());
                        if (!answer.ParseFromString(*bytes)) {
                          return node.mapped()(MakeError(Errc::kTimeout, "a garbled answer"));
                        }
                        node.mapped()(std::move(answer));
                      });
}

void Peers::FailAsked() {
  for (auto& [number, done] : std::exchange(asked_, {})) {
    executor_->Defer([done = std::move(done)] {
      done(MakeError(Errc::kTimeout, "the leader or its connection is gone"));
    });
  }
}

void Peers::AskBarrier(CommittedFn done) {
  PeerRequest request;
  request.mutable_barrier();
  Ask(request, kSilence, [done = std::move(done)](const absl::StatusOr<PeerAnswer>& answer) {
    if (!answer.ok()) return done(answer.status());
    if (answer->code() != 0) return done(MakeError(Errc::kNoLeader, "it leads no more"));
    done(Committed{StreamSeq(answer->committed()), Revision(answer->revision())});
  });
}

void Peers::Call(const std::string& method, const std::string& request, CalledFn done) {
  PeerRequest call;
  call.mutable_call()->set_method(method);
  call.mutable_call()->set_request(request);
  Ask(call, kCallPatience, [done = std::move(done)](absl::StatusOr<PeerAnswer> answer) {
    if (!answer.ok()) return done(answer.status());
    done(Called{{StreamSeq(answer->committed()), Revision(answer->revision())},
                {answer->code(), std::move(*answer->mutable_text()),
                 std::move(*answer->mutable_response())}});
  });
}

}  // namespace jetd::revision
