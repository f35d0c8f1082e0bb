// SPDX-License-Identifier: Apache-2.0
//
// From bytes on the wire to protobuf messages, and from those to the engine's requests. Pure
// functions, any thread.
#ifndef JETD_ETCDAPI_REQUEST_DECODER_H_
#define JETD_ETCDAPI_REQUEST_DECODER_H_

#include "base/etcdpb/rpc.pb.h"
#include "google/protobuf/message.h"
#include "revision/request.h"
#include "rpc/message.h"
#include "rpc/status.h"
#include "watch/watch_hub.h"

namespace jetd::etcdapi {

// Internal, with grpc-go's text, if the bytes, which are one piece, are no such message.
[[nodiscard]] rpc::Status ParseRequest(const rpc::Message& bytes,
                                       google::protobuf::Message* message);

// Views in the results point into the message. REQUIRES: Check (request_check.h) was satisfied.
[[nodiscard]] revision::RangeOp ToOp(const etcdserverpb::RangeRequest& request);
[[nodiscard]] revision::PutOp ToOp(const etcdserverpb::PutRequest& request);
[[nodiscard]] revision::DeleteOp ToOp(const etcdserverpb::DeleteRangeRequest& request);
[[nodiscard]] revision::TxnOp ToOp(const etcdserverpb::TxnRequest& request);

[[nodiscard]] watch::CreateRequest ToCreate(const etcdserverpb::WatchCreateRequest& request);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_REQUEST_DECODER_H_
