// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/lease_service.h"

#include <deque>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/etcdpb/rpc.pb.h"
#include "etcdapi/answer.h"
#include "etcdapi/request_decoder.h"
#include "etcdapi/simple_call.h"
#include "etcdapi/status_map.h"
#include "etcdapi/stream_call.h"

namespace jetd::etcdapi {
namespace {

using etcdserverpb::LeaseGrantRequest;
using etcdserverpb::LeaseGrantResponse;
using etcdserverpb::LeaseKeepAliveRequest;
using etcdserverpb::LeaseKeepAliveResponse;
using etcdserverpb::LeaseLeasesRequest;
using etcdserverpb::LeaseLeasesResponse;
using etcdserverpb::LeaseRevokeRequest;
using etcdserverpb::LeaseRevokeResponse;
using etcdserverpb::LeaseTimeToLiveRequest;
using etcdserverpb::LeaseTimeToLiveResponse;
using lease::Lessor;

// Keepalives of one stream that wait for the lessor or to be written; further ones stay unread.
constexpr size_t kMaxKeepAlives = 256;
// One keepalive of such a stream, for the leader.
constexpr const char* kKeepAliveMethod = "etcdserverpb.Lease/LeaseKeepAlive";

void Grant(const Engine* engine, SimpleCall<LeaseGrantRequest>* call) {
  engine->lessor->Grant(LeaseId(call->request().id()), call->request().ttl(),
                        [engine, call](absl::StatusOr<Lessor::Granted> granted) {
                          if (!granted.ok()) {
                            call->Fail(ToGrpc(granted.status()));
                            return;
                          }
                          LeaseGrantResponse response;
                          engine->FillHeader(response.mutable_header(), engine->store->committed());
                          response.set_id(granted->id.value());
                          response.set_ttl(granted->ttl_s);
                          call->Reply(EncodeMessage(response));
                        });
}

void Revoke(const Engine* engine, SimpleCall<LeaseRevokeRequest>* call) {
  engine->lessor->Revoke(LeaseId(call->request().id()),
                         [engine, call](absl::StatusOr<Revision> revision) {
                           if (!revision.ok()) {
                             call->Fail(ToGrpc(revision.status()));
                             return;
                           }
                           LeaseRevokeResponse response;
                           engine->FillHeader(response.mutable_header(), *revision);
                           call->Reply(EncodeMessage(response));
                         });
}

void TimeToLive(const Engine* engine, SimpleCall<LeaseTimeToLiveRequest>* call) {
  const auto with_keys = call->request().keys() ? Lessor::WithKeys::kYes : Lessor::WithKeys::kNo;
  engine->lessor->TimeToLive(LeaseId(call->request().id()), with_keys,
                             [engine, call](absl::StatusOr<Lessor::TimeToLiveResult> result) {
                               if (!result.ok()) {
                                 call->Fail(ToGrpc(result.status()));
                                 return;
                               }
                               LeaseTimeToLiveResponse response;
                               engine->FillHeader(response.mutable_header(),
                                                  engine->store->committed());
                               response.set_id(call->request().id());
                               response.set_ttl(result->ttl_s);
                               response.set_grantedttl(result->granted_ttl_s);
                               for (const std::string& key : result->keys) response.add_keys(key);
                               call->Reply(EncodeMessage(response));
                             });
}

void Leases(const Engine* engine, SimpleCall<LeaseLeasesRequest>* call) {
  engine->lessor->Leases([engine, call](absl::StatusOr<std::vector<LeaseId>> ids) {
    if (!ids.ok()) {
      call->Fail(ToGrpc(ids.status()));
      return;
    }
    LeaseLeasesResponse response;
    engine->FillHeader(response.mutable_header(), engine->store->committed());
    for (const LeaseId id : *ids) response.add_leases()->set_id(id.value());
    call->Reply(EncodeMessage(response));
  });
}

// A keepalive that another member has forwarded.
void KeepAliveOfOther(const Engine* engine, const std::string& bytes,
                      const Forwarder::DoneFn& done) {
  LeaseKeepAliveRequest request;
  if (!request.ParseFromString(bytes)) {
    done(MalformedRequest("a keepalive"), {});
    return;
  }
  engine->lessor->KeepAlive(LeaseId(request.id()),
                            [id = request.id(), done](const absl::StatusOr<int64_t>& ttl_s) {
                              LeaseKeepAliveResponse response;
                              response.set_id(id);
                              if (ttl_s.ok()) response.set_ttl(*ttl_s);
                              done(ToGrpc(ttl_s.status()), response.SerializeAsString());
                            });
}

// A stream of keepalives. Many may wait for the lessor at once, since they share its barrier;
// answers leave in the order of the requests.
class KeepAliveCall final : public StreamCall {
 public:
  KeepAliveCall(CallHost* host, const Engine* engine) : StreamCall(host), engine_(engine) {}

 private:
  struct Slot {
    LeaseKeepAliveResponse response;
    bool ready = false;
  };

  void OnOpen() override { Read(); }
  void OnMessage(const rpc::Message& message) override {
    const rpc::Status status = ParseRequest(message, &request_);
    if (!status.ok()) {
      Finish(status);
      return;
    }
    Slot& slot = slots_.emplace_back();
    slot.response.set_id(request_.id());
    // The header of before: an answer never names a revision at which the lease may be gone.
    engine_->FillHeader(slot.response.mutable_header(), engine_->store->committed());
    ++in_lessor_;
    Renew(next_slot_++, request_.id());
    ReadUnlessFull();
  }
  void Renew(uint64_t number, int64_t id) {
    if (Elsewhere()) {
      LeaseKeepAliveRequest request;
      request.set_id(id);
      engine_->forwarder->Forward(
          kKeepAliveMethod, request.SerializeAsString(),
          [this, number](const rpc::Status& status, const std::string& answer) {
            LeaseKeepAliveResponse response;
            const bool good = status.ok() && response.ParseFromString(answer);
            OnAnswered(number, good || !status.ok() ? status : ToGrpc(Refusal::kNoLeader),
                       response.ttl());
          });
      return;
    }
    engine_->lessor->KeepAlive(
        LeaseId(id), [this, number, id](const absl::StatusOr<int64_t>& ttl_s) {
          // Superseded while it waited: the one that leads now has the clock.
          if (GetErrc(ttl_s.status()) == Errc::kNoLeader && Elsewhere() && !closed()) {
            return Renew(number, id);
          }
          OnAnswered(number, ToGrpc(ttl_s.status()), ttl_s.ok() ? *ttl_s : 0);
        });
  }
  [[nodiscard]] bool Elsewhere() const {
    return engine_->forwarder != nullptr && engine_->forwarder->Wanted();
  }
  void OnAnswered(uint64_t number, const rpc::Status& status, int64_t ttl_s) {
    --in_lessor_;
    if (!closed()) OnRenewed(number, status, ttl_s);
    FreeIfOver();
  }
  void OnHalfClosed() override {
    half_closed_ = true;
    FinishIfDone();
  }
  void OnWritten() override {
    WriteNext();
    if (closed()) return;
    ReadUnlessFull();
    FinishIfDone();
  }
  void OnClosed() override { slots_.clear(); }
  [[nodiscard]] bool Busy() const override { return in_lessor_ > 0; }

  void OnRenewed(uint64_t number, const rpc::Status& status, int64_t ttl_s) {
    if (!status.ok()) {
      Finish(status);
      return;
    }
    Slot& slot = slots_[number - first_slot_];
    slot.response.set_ttl(ttl_s);
    slot.ready = true;
    WriteNext();
  }
  void WriteNext() {
    if (writing() || slots_.empty() || !slots_.front().ready) return;
    Write(EncodeMessage(slots_.front().response));
    slots_.pop_front();
    ++first_slot_;
  }
  void ReadUnlessFull() {
    if (!half_closed_ && !reading() && slots_.size() < kMaxKeepAlives) Read();
  }
  void FinishIfDone() {
    if (half_closed_ && slots_.empty() && !writing()) Finish(rpc::Status());
  }

  const Engine* const engine_;
  LeaseKeepAliveRequest request_;
  std::deque<Slot> slots_;   // oldest first
  uint64_t first_slot_ = 0;  // the number of slots_.front()
  uint64_t next_slot_ = 0;   // first_slot_ + slots_.size()
  size_t in_lessor_ = 0;
  bool half_closed_ = false;
};

}  // namespace

void BindLease(const Engine* engine, Server* server) {
  const auto* service = LeaseGrantRequest::descriptor()->file()->FindServiceByName("Lease");
  server->AddService(service);
  const auto bind = [&]<typename Request>(std::string_view method, auto function) {
    server->BindUnary(service, method,
                      SimpleCallFactory<Request>([engine, function](SimpleCall<Request>* call) {
                        function(engine, call);
                      }));
  };
  bind.operator()<LeaseGrantRequest>("LeaseGrant", Grant);
  bind.operator()<LeaseRevokeRequest>("LeaseRevoke", Revoke);
  bind.operator()<LeaseTimeToLiveRequest>("LeaseTimeToLive", TimeToLive);
  bind.operator()<LeaseLeasesRequest>("LeaseLeases", Leases);
  for (const char* method : {"LeaseGrant", "LeaseRevoke", "LeaseTimeToLive", "LeaseLeases"}) {
    server->Forward(service, method);
  }
  server->BindRemote(kKeepAliveMethod,
                     [engine](const std::string& request, const Forwarder::DoneFn& done) {
                       KeepAliveOfOther(engine, request, done);
                     });
  server->BindStream(service, "LeaseKeepAlive", [engine](CallHost* host) {
    return std::make_unique<KeepAliveCall>(host, engine);
  });
}

}  // namespace jetd::etcdapi
