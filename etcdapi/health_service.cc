// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/health_service.h"

#include <memory>

#include "etcdapi/answer.h"
#include "etcdapi/pb/health.pb.h"
#include "etcdapi/simple_call.h"
#include "etcdapi/status_map.h"
#include "etcdapi/stream_call.h"

namespace jetd::etcdapi {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

HealthCheckResponse::ServingStatus StatusOf(bool has_leader) {
  return has_leader ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

void Check(bool has_leader, SimpleCall<HealthCheckRequest>* call) {
  if (!call->request().service().empty()) {
    call->Fail(ToGrpc(Refusal::kUnknownService));
    return;
  }
  HealthCheckResponse response;
  response.set_status(StatusOf(has_leader));
  call->Reply(EncodeMessage(response));
}

// Says the state, and again when it has changed. A client that reads slowly misses what was over
// before it could be told.
class HealthWatch final : public StreamCall {
 public:
  explicit HealthWatch(CallHost* host) : StreamCall(host) {}

  void OnLeader(bool has_leader) override {
    StreamCall::OnLeader(has_leader);
    Tell();
  }

 private:
  void OnOpen() override { Read(); }
  void OnMessage(const rpc::Message& message) override {
    HealthCheckRequest request;
    if (const rpc::Status status = ParseRequest(message, &request); !status.ok()) {
      Finish(status);
      return;
    }
    if (request.service().empty()) {
      asked_ = true;
      Tell();
      return;
    }
    HealthCheckResponse response;
    response.set_status(HealthCheckResponse::SERVICE_UNKNOWN);
    Write(EncodeMessage(response));
  }
  void OnHalfClosed() override {}
  void OnWritten() override { Tell(); }

  void Tell() {
    const auto now = StatusOf(host()->has_leader());
    if (!asked_ || closed() || writing() || now == told_) return;
    told_ = now;
    HealthCheckResponse response;
    response.set_status(now);
    Write(EncodeMessage(response));
  }

  bool asked_ = false;  // for the server as a whole
  HealthCheckResponse::ServingStatus told_ = HealthCheckResponse::UNKNOWN;
};

}  // namespace

void BindHealth(Server* server) {
  const auto* service = HealthCheckRequest::descriptor()->file()->FindServiceByName("Health");
  server->AddService(service);
  server->BindUnary(service, "Check", [](UnaryPool* pool) {
    return std::make_unique<SimpleCall<HealthCheckRequest>>(
        pool, [host = pool->host()](auto* call) { Check(host->has_leader(), call); });
  });
  server->BindStream(service, "Watch",
                     [](CallHost* host) { return std::make_unique<HealthWatch>(host); });
}

}  // namespace jetd::etcdapi
