// SPDX-License-Identifier: Apache-2.0
//
// Answers of the engine as protobuf bytes, equal to what protobuf's own classes would write,
// spliced from what the store already holds encoded. Pure functions, any thread.
#ifndef JETD_ETCDAPI_ANSWER_H_
#define JETD_ETCDAPI_ANSWER_H_

#include <cstdint>
#include <utility>

#include "base/types.h"
#include "revision/request.h"
#include "rpc/message.h"
#include "watch/watch_hub.h"

namespace jetd::etcdapi {

// What every answer's header says besides its revision.
struct HeaderIds {
  uint64_t cluster_id = 0;
  uint64_t member_id = 0;
  Term term;
};

[[nodiscard]] rpc::Message EncodeRange(const HeaderIds& ids, const revision::RangeResult& result);
[[nodiscard]] rpc::Message EncodePut(const HeaderIds& ids, const revision::PutResult& result);
[[nodiscard]] rpc::Message EncodeDelete(const HeaderIds& ids, const revision::DeleteResult& result);
// Answers of the operations inside carry a header with a revision only, as etcd's do; nested
// transactions one that is empty.
[[nodiscard]] rpc::Message EncodeTxn(const HeaderIds& ids, const revision::TxnResult& result);

// A piece of RangeStream's answer. Only the last one has header, more and count.
enum class Piece { kMore, kLast };
[[nodiscard]] rpc::Message EncodeRangePiece(const HeaderIds& ids,
                                            const revision::RangeResult& result, Piece piece);

[[nodiscard]] rpc::Message EncodeWatch(const HeaderIds& ids, const watch::Response& response);

// A message of generated code, for the RPCs that need no splicing.
template <typename Message>
[[nodiscard]] rpc::Message EncodeMessage(const Message& message) {
  const size_t size = message.ByteSizeLong();
  char* memory = nullptr;
  rpc::Slice slice = rpc::Slice::Allocate(size, &memory);
  if (size == 0) return {};
  message.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(memory));
  return rpc::Message(std::move(slice));
}

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_ANSWER_H_
