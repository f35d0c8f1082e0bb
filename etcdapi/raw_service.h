// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_RAW_SERVICE_H_
#define JETD_ETCDAPI_RAW_SERVICE_H_

#include <deque>
#include <string>

#include "etcdapi/tag.h"
#include "google/protobuf/descriptor.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/impl/service_type.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/async_stream.h"
#include "grpcpp/support/async_unary_call.h"
#include "grpcpp/support/byte_buffer.h"

namespace jetd::etcdapi {

using UnaryResponder = grpc::ServerAsyncResponseWriter<grpc::ByteBuffer>;
using StreamResponder = grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>;

// RawService is a service of a .proto file whose methods all take and give bytes: decoding and
// encoding are ours. Methods are numbered as the descriptor numbers them.
//
// Thread rules: as grpc::Service; Accept… from any thread, one at a time for one context.
class RawService final : public grpc::Service {
 public:
  explicit RawService(const google::protobuf::ServiceDescriptor* descriptor);

  [[nodiscard]] const google::protobuf::ServiceDescriptor* descriptor() const {
    return descriptor_;
  }

  // The call comes out of `queue`, the end of its answer out of `answers`.
  void AcceptUnary(int method, grpc::ServerContext* context, grpc::ByteBuffer* request,
                   UnaryResponder* responder, grpc::ServerCompletionQueue* queue,
                   grpc::ServerCompletionQueue* answers, Tag* tag);
  // For every kind of stream: a method that streams only its answer is a stream whose client sends
  // one message.
  void AcceptStream(int method, grpc::ServerContext* context, StreamResponder* responder,
                    grpc::ServerCompletionQueue* queue, Tag* tag);

 private:
  const google::protobuf::ServiceDescriptor* descriptor_;
  std::deque<std::string> paths_;  // gRPC keeps pointers to them
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_RAW_SERVICE_H_
