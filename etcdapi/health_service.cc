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

void Check(SimpleCall<HealthCheckRequest>* call) {
  if (!call->request().service().empty()) {
    call->Fail(ToGrpc(Refusal::kUnknownService));
    return;
  }
  HealthCheckResponse response;
  response.set_status(HealthCheckResponse::SERVING);
  call->Reply(EncodeMessage(response));
}

// Says the state once and keeps the stream open: it does not change while the server is there.
class HealthWatch final : public StreamCall {
 public:
  explicit HealthWatch(CallHost* host) : StreamCall(host) {}

 private:
  void OnOpen() override { Read(); }
  void OnMessage(const grpc::ByteBuffer& message) override {
    HealthCheckRequest request;
    if (const grpc::Status status = ParseRequest(message, &request); !status.ok()) {
      Finish(status);
      return;
    }
    HealthCheckResponse response;
    response.set_status(request.service().empty() ? HealthCheckResponse::SERVING
                                                  : HealthCheckResponse::SERVICE_UNKNOWN);
    Write(EncodeMessage(response));
  }
  void OnHalfClosed() override {}
  void OnWritten() override {}
};

}  // namespace

void BindHealth(Server* server) {
  const auto* service = HealthCheckRequest::descriptor()->file()->FindServiceByName("Health");
  server->AddService(service);
  server->BindUnary(service, "Check", 1, SimpleCallFactory<HealthCheckRequest>(Check));
  server->BindStream(service, "Watch", 1,
                     [](CallHost* host) { return std::make_unique<HealthWatch>(host); });
}

}  // namespace jetd::etcdapi
