// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/maintenance_service.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "base/etcdpb/auth_rpc.pb.h"
#include "base/etcdpb/election.pb.h"
#include "base/etcdpb/lock.pb.h"
#include "base/etcdpb/rpc.pb.h"
#include "base/strings.h"
#include "etcdapi/answer.h"
#include "etcdapi/simple_call.h"
#include "etcdapi/snapshot_call.h"
#include "etcdapi/status_map.h"

namespace jetd::etcdapi {
namespace {

using etcdserverpb::AlarmRequest;
using etcdserverpb::AlarmResponse;
using etcdserverpb::AuthenticateRequest;
using etcdserverpb::AuthStatusRequest;
using etcdserverpb::AuthStatusResponse;
using etcdserverpb::DefragmentRequest;
using etcdserverpb::DefragmentResponse;
using etcdserverpb::HashKVRequest;
using etcdserverpb::HashKVResponse;
using etcdserverpb::HashRequest;
using etcdserverpb::HashResponse;
using etcdserverpb::MemberListRequest;
using etcdserverpb::MemberListResponse;
using etcdserverpb::MoveLeaderRequest;
using etcdserverpb::MoveLeaderResponse;
using etcdserverpb::StatusRequest;
using etcdserverpb::StatusResponse;
using google::protobuf::ServiceDescriptor;

// As etcd's protobuf library writes the message, the blank at its end included.
std::string AlarmText(const jetstream::Alarm& alarm) {
  std::string text;
  if (alarm.member_id != 0) CatTo(text, "memberID:", alarm.member_id, " ");
  CatTo(text, "alarm:", NameOf(alarm.type), " ");
  return text;
}

StatusResponse StatusNow(const Engine* engine, uint64_t stream_bytes) {
  StatusResponse response;
  engine->FillHeader(response.mutable_header(), engine->store->committed());
  response.set_version(kEtcdVersion);
  const auto held = static_cast<int64_t>(engine->store->stats().bytes);
  // Never 0: etcdctl divides by it. Before NATS was asked for the first time: what memory holds.
  const int64_t size =
      std::max<int64_t>(1, stream_bytes > 0 ? static_cast<int64_t>(stream_bytes) : held);
  response.set_dbsize(size);
  response.set_dbsizeinuse(std::min(size, held));
  const bool lost = engine->committer->elsewhere() && !engine->committer->has_leader();
  response.set_leader(lost ? 0 : engine->committer->leader_id());
  response.set_raftindex(engine->committer->last_seq().value());
  response.set_raftappliedindex(engine->committer->last_seq().value());
  response.set_raftterm(engine->committer->term().value());
  if (response.leader() == 0) {
    response.add_errors(ToGrpc(Refusal::kNoLeader).message());
  }
  for (const jetstream::Alarm& alarm : engine->committer->alarms().OfEtcd()) {
    response.add_errors(AlarmText(alarm));
  }
  return response;
}

// Answers Status with the size of the stream as NATS says it, or as it last did when there is no
// answer within kPatience: Status must work while NATS does not.
class StatusAnswerer {
 public:
  explicit StatusAnswerer(const Engine* engine) : engine_(engine) {}

  void Answer(SimpleCall<StatusRequest>* call) {
    waiting_.push_back(call);
    if (waiting_.size() > 1) return;
    const uint64_t question = ++question_;
    timer_ = engine_->loop->RunAfter(kPatience, [this] {
      timer_ = 0;
      AnswerAll();
    });
    engine_->log->State([this, question](const absl::StatusOr<jetstream::StreamState>& state) {
      if (state.ok()) stream_bytes_ = state->bytes;
      if (question == question_) AnswerAll();
    });
  }

 private:
  static constexpr std::chrono::milliseconds kPatience{500};

  void AnswerAll() {
    engine_->loop->Cancel(std::exchange(timer_, 0));
    const rpc::Message answer = EncodeMessage(StatusNow(engine_, stream_bytes_));
    for (auto* call : std::exchange(waiting_, {})) call->Reply(answer);
  }

  const Engine* const engine_;
  uint64_t stream_bytes_ = 0;
  uint64_t question_ = 0;
  TimerId timer_ = 0;
  std::vector<SimpleCall<StatusRequest>*> waiting_;
};

// Answers with those of `alarms` that are of the kind `only`; NONE: with all.
revision::Committer::AlarmsFn AnswerWith(const Engine* engine, SimpleCall<AlarmRequest>* call,
                                         etcdserverpb::AlarmType only) {
  return [engine, call, only](const absl::StatusOr<std::vector<jetstream::Alarm>>& alarms) {
    if (!alarms.ok()) {
      call->Fail(ToGrpc(alarms.status()));
      return;
    }
    AlarmResponse response;
    engine->FillHeader(response.mutable_header(), engine->store->committed());
    for (const jetstream::Alarm& alarm : *alarms) {
      const auto type = static_cast<etcdserverpb::AlarmType>(alarm.type);
      if (only != etcdserverpb::NONE && only != type) continue;
      auto* member = response.add_alarms();
      member->set_memberid(alarm.member_id);
      member->set_alarm(type);
    }
    call->Reply(EncodeMessage(response));
  };
}

void Alarm(const Engine* engine, SimpleCall<AlarmRequest>* call) {
  using Change = revision::Committer::AlarmChange;
  const AlarmRequest& request = call->request();
  const auto type = request.alarm();
  if (request.action() == AlarmRequest::GET) {
    engine->committer->ListAlarms(AnswerWith(engine, call, type));
    return;
  }
  const bool known = type == etcdserverpb::NOSPACE || type == etcdserverpb::CORRUPT;
  const bool raise = request.action() == AlarmRequest::ACTIVATE;
  if (!known && type != etcdserverpb::NONE && raise)
    return call->Fail(ToGrpc(Refusal::kUnknownAlarm));
  if (!raise && request.action() != AlarmRequest::DEACTIVATE) {
    return call->Fail(ToGrpc(Refusal::kUnknownAlarm));
  }
  const auto answer = AnswerWith(engine, call, etcdserverpb::NONE);
  if (!known) {
    engine->committer->Barrier([answer](const absl::Status& status) {
      if (!status.ok()) return answer(status);
      answer(std::vector<jetstream::Alarm>());
    });
    return;
  }
  engine->committer->ChangeAlarm(
      raise ? Change::kRaise : Change::kDisarm,
      {.type = static_cast<jetstream::AlarmType>(type), .member_id = request.memberid()}, answer);
}

void Hash(const Engine* engine, SimpleCall<HashRequest>* call) {
  const auto hash = engine->store->HashKv(Revision(0));
  if (!hash.ok()) {
    call->Fail(ToGrpc(hash.status()));
    return;
  }
  HashResponse response;
  engine->FillHeader(response.mutable_header(), engine->store->committed());
  response.set_hash(hash->hash);
  call->Reply(EncodeMessage(response));
}

void HashKv(const Engine* engine, SimpleCall<HashKVRequest>* call) {
  const auto hash = engine->hashes->HashKv(Revision(call->request().revision()));
  if (!hash.ok()) {
    call->Fail(ToGrpc(hash.status()));
    return;
  }
  HashKVResponse response;
  engine->FillHeader(response.mutable_header(), engine->store->committed());
  response.set_hash(hash->hash);
  response.set_compact_revision(hash->compact_revision.value());
  call->Reply(EncodeMessage(response));
}

void MemberList(const Engine* engine, SimpleCall<MemberListRequest>* call) {
  const auto answer = [engine, call](const absl::Status& status) {
    if (!status.ok()) {
      call->Fail(ToGrpc(status));
      return;
    }
    MemberListResponse response;
    engine->FillHeader(response.mutable_header(), Revision(0));
    const revision::Peers::Member self{engine->member_id, engine->member_name, engine->client_urls};
    for (const auto& known :
         engine->peers == nullptr ? std::vector{self} : engine->peers->members()) {
      auto* member = response.add_members();
      member->set_id(known.id);
      member->set_name(known.name);
      for (const std::string& url : known.client_urls) member->add_clienturls(url);
    }
    call->Reply(EncodeMessage(response));
  };
  if (call->request().linearizable()) {
    engine->committer->Barrier(answer);
  } else {
    answer(absl::OkStatus());
  }
}

void MoveLeader(const Engine* engine, SimpleCall<MoveLeaderRequest>* call) {
  const revision::Committer& committer = *engine->committer;
  const uint64_t target = call->request().targetid();
  if (!committer.leading()) {
    call->Fail(ToGrpc(Refusal::kNotLeader));
  } else if (target != engine->member_id &&
             (engine->peers == nullptr || target == 0 || !engine->peers->IsFollower(target))) {
    call->Fail(ToGrpc(Refusal::kBadTransferee));
  } else if (target == engine->member_id) {
    call->Reply(EncodeMessage(MoveLeaderResponse()));
  } else {
    engine->committer->HandOver(target, [call](const absl::Status& status) {
      if (!status.ok()) {
        call->Fail(ToGrpc(status));
        return;
      }
      call->Reply(EncodeMessage(MoveLeaderResponse()));  // without a header, as etcd's
    });
  }
}

void AuthStatus(const Engine* engine, SimpleCall<AuthStatusRequest>* call) {
  AuthStatusResponse response;
  engine->FillHeader(response.mutable_header(), engine->store->committed());
  response.set_authrevision(1);  // etcd's, before anything was changed
  call->Reply(EncodeMessage(response));
}

void BindAllUnimplemented(const ServiceDescriptor* service, std::string_view why, Server* server) {
  server->AddService(service);
  for (int i = 0; i < service->method_count(); ++i) {
    server->BindUnimplemented(service, service->method(i)->name(), why);
  }
}

}  // namespace

void BindMaintenance(const Engine* engine, Server* server) {
  const auto* service = StatusRequest::descriptor()->file()->FindServiceByName("Maintenance");
  server->AddService(service);
  const auto answerer = std::make_shared<StatusAnswerer>(engine);
  server->BindUnary(service, "Status", SimpleCallFactory<StatusRequest>([answerer](auto* call) {
                      answerer->Answer(call);
                    }));
  server->Forward(service, "Alarm");
  server->BindUnary(service, "Alarm",
                    SimpleCallFactory<AlarmRequest>([engine](auto* call) { Alarm(engine, call); }));
  // Garbage is removed as it comes up; there is nothing to do at a moment of one's choosing.
  server->BindUnary(service, "Defragment", SimpleCallFactory<DefragmentRequest>([](auto* call) {
                      call->Reply(EncodeMessage(DefragmentResponse()));
                    }));
  server->BindUnary(service, "Hash",
                    SimpleCallFactory<HashRequest>([engine](auto* call) { Hash(engine, call); }));
  server->BindUnary(service, "HashKV", SimpleCallFactory<HashKVRequest>([engine](auto* call) {
                      HashKv(engine, call);
                    }));
  BindSnapshot(engine, server);
  server->BindUnary(
      service, "MoveLeader",
      SimpleCallFactory<MoveLeaderRequest>([engine](auto* call) { MoveLeader(engine, call); }));
  server->BindUnimplemented(service, "Downgrade", "there is no cluster version");
}

void BindCluster(const Engine* engine, Server* server) {
  const auto* service = MemberListRequest::descriptor()->file()->FindServiceByName("Cluster");
  server->AddService(service);
  server->BindUnary(
      service, "MemberList",
      SimpleCallFactory<MemberListRequest>([engine](auto* call) { MemberList(engine, call); }));
  for (const char* method : {"MemberAdd", "MemberRemove", "MemberUpdate", "MemberPromote"}) {
    server->BindUnimplemented(service, method, "members are the jetd processes that run");
  }
}

void BindUnsupported(const Engine* engine, Server* server) {
  const auto* auth = AuthStatusRequest::descriptor()->file()->FindServiceByName("Auth");
  server->AddService(auth);
  server->BindUnary(auth, "AuthStatus", SimpleCallFactory<AuthStatusRequest>([engine](auto* call) {
                      AuthStatus(engine, call);
                    }));
  server->BindUnary(auth, "Authenticate", SimpleCallFactory<AuthenticateRequest>([](auto* call) {
                      call->Fail(ToGrpc(Refusal::kAuthNotEnabled));
                    }));
  for (int i = 0; i < auth->method_count(); ++i) {
    const std::string& method = auth->method(i)->name();
    if (method == "AuthStatus" || method == "Authenticate") continue;
    server->BindUnimplemented(auth, method, "users and roles are not there yet");
  }
  const std::string why = "use the client library's lock and election, as etcdctl does";
  BindAllUnimplemented(v3lockpb::LockRequest::descriptor()->file()->FindServiceByName("Lock"), why,
                       server);
  BindAllUnimplemented(v3electionpb::LeaderKey::descriptor()->file()->FindServiceByName("Election"),
                       why, server);
}

}  // namespace jetd::etcdapi
