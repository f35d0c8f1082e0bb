// SPDX-License-Identifier: Apache-2.0
//
// Requests and answers of the model as etcd's messages, and back. Pure; any thread.
#ifndef JETD_CONFORMANCE_HISTORY_CODEC_H_
#define JETD_CONFORMANCE_HISTORY_CODEC_H_

#include "base/etcdpb/kv.pb.h"
#include "base/etcdpb/rpc.pb.h"
#include "conformance/history/key_space.h"
#include "conformance/history/operation.h"

namespace jetd::conformance::history {

namespace pb = ::etcdserverpb;

// An action as a request of its own. The read options of `request` (serializable, revision) go into
// every read.
[[nodiscard]] pb::RangeRequest ToRange(const KeySpace& keys, const Request& request,
                                       const Action& action);
[[nodiscard]] pb::PutRequest ToPut(const KeySpace& keys, const Action& action);
[[nodiscard]] pb::DeleteRangeRequest ToDelete(const KeySpace& keys, const Action& action);
[[nodiscard]] pb::TxnRequest ToTxn(const KeySpace& keys, const Request& request);

// Fill in `operation`'s answer; `malformed` too, if the message has not the shape that the request
// asked for: a key that was not asked for, keys out of order, a wrong count, an action unanswered.
void TakeAnswer(const KeySpace& keys, const pb::RangeResponse& response, Operation& operation);
void TakeAnswer(const KeySpace& keys, const pb::PutResponse& response, Operation& operation);
void TakeAnswer(const KeySpace& keys, const pb::DeleteRangeResponse& response,
                Operation& operation);
void TakeAnswer(const KeySpace& keys, const pb::TxnResponse& response, Operation& operation);

// What a key-value says of its key.
[[nodiscard]] KeyState StateOf(const mvccpb::KeyValue& kv);

}  // namespace jetd::conformance::history

#endif  // JETD_CONFORMANCE_HISTORY_CODEC_H_
