// SPDX-License-Identifier: Apache-2.0
//
// Answers of the engine as protobuf bytes, equal to what protobuf's own classes would write,
// spliced from what the store already holds encoded. Pure functions, any thread.
#ifndef JETD_ETCDAPI_ANSWER_H_
#define JETD_ETCDAPI_ANSWER_H_

#include <cstdint>

#include "base/types.h"
#include "grpcpp/support/byte_buffer.h"
#include "revision/request.h"
#include "watch/watch_hub.h"

namespace jetd::etcdapi {

// What every answer's header says besides its revision.
struct HeaderIds {
  uint64_t cluster_id = 0;
  uint64_t member_id = 0;
  Term term;
};

[[nodiscard]] grpc::ByteBuffer EncodeRange(const HeaderIds& ids,
                                           const revision::RangeResult& result);
[[nodiscard]] grpc::ByteBuffer EncodePut(const HeaderIds& ids, const revision::PutResult& result);
[[nodiscard]] grpc::ByteBuffer EncodeDelete(const HeaderIds& ids,
                                            const revision::DeleteResult& result);
// Answers of the operations inside carry a header with a revision only, as etcd's do; nested
// transactions one that is empty.
[[nodiscard]] grpc::ByteBuffer EncodeTxn(const HeaderIds& ids, const revision::TxnResult& result);

// A piece of RangeStream's answer. Only the last one has header, more and count.
enum class Piece { kMore, kLast };
[[nodiscard]] grpc::ByteBuffer EncodeRangePiece(const HeaderIds& ids,
                                                const revision::RangeResult& result, Piece piece);

[[nodiscard]] grpc::ByteBuffer EncodeWatch(const HeaderIds& ids, const watch::Response& response);

// A message of generated code, for the RPCs that need no splicing.
template <typename Message>
[[nodiscard]] grpc::ByteBuffer EncodeMessage(const Message& message) {
  const size_t size = message.ByteSizeLong();
  grpc::Slice slice(size);
  message.SerializeWithCachedSizesToArray(const_cast<uint8_t*>(slice.begin()));
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_ANSWER_H_
