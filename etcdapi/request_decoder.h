// SPDX-License-Identifier: Apache-2.0
//
// From bytes on the wire to protobuf messages, and from those to the engine's requests. Pure
// functions, any thread.
#ifndef JETD_ETCDAPI_REQUEST_DECODER_H_
#define JETD_ETCDAPI_REQUEST_DECODER_H_

#include "base/etcdpb/rpc.pb.h"
#include "google/protobuf/message.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/status.h"
#include "revision/request.h"
#include "watch/watch_hub.h"

namespace jetd::etcdapi {

// Internal, with grpc-go's text, if the bytes are no such message.
[[nodiscard]] grpc::Status ParseRequest(const grpc::ByteBuffer& bytes,
                                        google::protobuf::Message* message);

// Views in the results point into the message. REQUIRES: Check (request_check.h) was satisfied.
[[nodiscard]] revision::RangeOp ToOp(const etcdserverpb::RangeRequest& request);
[[nodiscard]] revision::PutOp ToOp(const etcdserverpb::PutRequest& request);
[[nodiscard]] revision::DeleteOp ToOp(const etcdserverpb::DeleteRangeRequest& request);
[[nodiscard]] revision::TxnOp ToOp(const etcdserverpb::TxnRequest& request);

[[nodiscard]] watch::CreateRequest ToCreate(const etcdserverpb::WatchCreateRequest& request);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_REQUEST_DECODER_H_
