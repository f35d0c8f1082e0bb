// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/raw_service.h"

#include "base/strings.h"
#include "grpcpp/impl/rpc_service_method.h"

namespace jetd::etcdapi {
namespace {

using grpc::internal::RpcMethod;

RpcMethod::RpcType TypeOf(const google::protobuf::MethodDescriptor& method) {
  return method.client_streaming() || method.server_streaming() ? RpcMethod::BIDI_STREAMING
                                                                : RpcMethod::NORMAL_RPC;
}

}  // namespace

RawService::RawService(const google::protobuf::ServiceDescriptor* descriptor)
    : descriptor_(descriptor) {
  for (int i = 0; i < descriptor->method_count(); ++i) {
    const auto* method = descriptor->method(i);
    paths_.push_back(Cat("/", descriptor->full_name(), "/", method->name()));
    AddMethod(new grpc::internal::RpcServiceMethod(paths_.back().c_str(), TypeOf(*method),
                                                   /*handler=*/nullptr));
    MarkMethodRaw(i);
  }
}

void RawService::AcceptUnary(int method, grpc::ServerContext* context, grpc::ByteBuffer* request,
                             UnaryResponder* responder, grpc::ServerCompletionQueue* queue,
                             grpc::ServerCompletionQueue* answers, Tag* tag) {
  RequestAsyncUnary(method, context, request, responder, answers, queue, tag->Arm());
}

void RawService::AcceptStream(int method, grpc::ServerContext* context, StreamResponder* responder,
                              grpc::ServerCompletionQueue* queue, Tag* tag) {
  RequestAsyncBidiStreaming(method, context, responder, queue, queue, tag->Arm());
}

}  // namespace jetd::etcdapi
