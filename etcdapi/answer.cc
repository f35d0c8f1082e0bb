// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/answer.h"

#include "etcdapi/wire_writer.h"

namespace jetd::etcdapi {
namespace {

using revision::DeleteResult;
using revision::PutResult;
using revision::RangeResult;
using revision::TxnResult;

// Field numbers of etcd's rpc.proto and kv.proto.
constexpr int kHeader = 1;

// The header of a whole answer, or (ids null) of one inside a transaction.
void WriteHeader(WireWriter& w, const HeaderIds* ids, Revision revision) {
  const size_t end = w.size();
  if (ids != nullptr) w.Varint(4, ids->term.value());
  w.Int(3, revision.value());
  if (ids != nullptr) {
    w.Varint(2, ids->member_id);
    w.Varint(1, ids->cluster_id);
  }
  w.Length(kHeader, end);
}

void WriteKvs(WireWriter& w, const RangeResult& r) {
  for (auto kv = r.kvs.rbegin(); kv != r.kvs.rend(); ++kv) {
    if (r.keys_only) {
      w.KeyOnly(2, **kv);
    } else {
      w.KeyValue(2, *kv);
    }
  }
}

void Write(WireWriter& w, const HeaderIds* ids, const RangeResult& r) {
  w.Int(4, r.count);
  w.Varint(3, r.more ? 1 : 0);
  WriteKvs(w, r);
  WriteHeader(w, ids, r.revision);
}

void Write(WireWriter& w, const HeaderIds* ids, const PutResult& r) {
  if (r.prev) w.KeyValue(2, r.prev);
  WriteHeader(w, ids, r.revision);
}

void Write(WireWriter& w, const HeaderIds* ids, const DeleteResult& r) {
  for (auto kv = r.prev_kvs.rbegin(); kv != r.prev_kvs.rend(); ++kv) w.KeyValue(3, *kv);
  w.Int(2, r.deleted);
  WriteHeader(w, ids, r.revision);
}

void Write(WireWriter& w, const HeaderIds* ids, const TxnResult& r) {
  for (auto op = r.responses.rbegin(); op != r.responses.rend(); ++op) {
    const size_t op_end = w.size();
    std::visit([&w](const auto& result) { Write(w, nullptr, result); }, op->v);
    // ResponseOp numbers its kinds as the variant orders them: range, put, delete, txn.
    w.Length(static_cast<int>(op->v.index()) + 1, op_end);
    w.Length(3, op_end);
  }
  w.Varint(2, r.succeeded ? 1 : 0);
  WriteHeader(w, ids, r.revision);
}

void WriteEvent(WireWriter& w, const revision::Change& change) {
  const size_t end = w.size();
  if (change.prev) w.KeyValue(3, change.prev);
  w.KeyValue(2, change.kv);
  w.Varint(1, change.kv->tombstone() ? 1 : 0);
  w.Length(11, end);
}

template <typename Result>
rpc::Message Encode(const HeaderIds& ids, const Result& result) {
  WireWriter w;
  Write(w, &ids, result);
  return w.Take();
}

}  // namespace

rpc::Message EncodeRange(const HeaderIds& ids, const RangeResult& result) {
  return Encode(ids, result);
}
rpc::Message EncodePut(const HeaderIds& ids, const PutResult& result) {
  return Encode(ids, result);
}
rpc::Message EncodeDelete(const HeaderIds& ids, const DeleteResult& result) {
  return Encode(ids, result);
}
rpc::Message EncodeTxn(const HeaderIds& ids, const TxnResult& result) {
  return Encode(ids, result);
}

rpc::Message EncodeRangePiece(const HeaderIds& ids, const RangeResult& result, Piece piece) {
  WireWriter w;
  if (piece == Piece::kLast) {
    Write(w, &ids, result);
  } else {
    WriteKvs(w, result);
  }
  w.Length(1, 0);
  return w.Take();
}

rpc::Message EncodeWatch(const HeaderIds& ids, const watch::Response& response) {
  WireWriter w;
  for (auto event = response.events.rbegin(); event != response.events.rend(); ++event) {
    WriteEvent(w, *event);
  }
  w.Varint(7, response.fragment ? 1 : 0);
  w.Bytes(6, response.cancel_reason);
  w.Int(5, response.compact_revision.value());
  w.Varint(4, response.canceled ? 1 : 0);
  w.Varint(3, response.created ? 1 : 0);
  w.Int(2, response.watch_id.value());
  WriteHeader(w, &ids, response.revision);
  return w.Take();
}

}  // namespace jetd::etcdapi
