// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/kv_service.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/etcdpb/rpc.pb.h"
#include "etcdapi/answer.h"
#include "etcdapi/request_decoder.h"
#include "etcdapi/simple_call.h"
#include "etcdapi/stream_call.h"
#include "etcdapi/unary_call.h"

namespace jetd::etcdapi {
namespace {

using etcdserverpb::CompactionRequest;
using etcdserverpb::CompactionResponse;
using etcdserverpb::DeleteRangeRequest;
using etcdserverpb::PutRequest;
using etcdserverpb::RangeRequest;
using etcdserverpb::TxnRequest;

struct KvContext {
  const Engine* engine;
  RequestLimits limits;
};

rpc::Status StatusOf(std::optional<Refusal> refusal) {
  return refusal.has_value() ? ToGrpc(*refusal) : rpc::Status();
}

class RangeCall final : public MessageCall<RangeRequest> {
 public:
  RangeCall(UnaryPool* pool, const KvContext* kv) : MessageCall(pool), kv_(kv) {}

 private:
  rpc::Status Prepare() override {
    op_ = ToOp(request());
    return StatusOf(Check(request()));
  }
  void Start() override {
    kv_->engine->committer->Range(&op_, [this](absl::StatusOr<revision::RangeResult> result) {
      if (!result.ok()) {
        Fail(ToGrpc(result.status()));
        return;
      }
      Reply(EncodeRange(kv_->engine->Ids(), *result));
    });
  }

  const KvContext* const kv_;
  revision::RangeOp op_;
};

rpc::Message EncodeResult(const HeaderIds& ids, const revision::OpResult& result) {
  if (const auto* put = std::get_if<revision::PutResult>(&result.v)) return EncodePut(ids, *put);
  if (const auto* txn = std::get_if<revision::TxnResult>(&result.v)) return EncodeTxn(ids, *txn);
  if (const auto* del = std::get_if<revision::DeleteResult>(&result.v)) {
    return EncodeDelete(ids, *del);
  }
  return EncodeRange(ids, std::get<revision::RangeResult>(result.v));
}

// Put, DeleteRange and Txn: what may change something, and so takes its place in the order.
template <typename Request>
class ApplyCall final : public MessageCall<Request> {
 public:
  ApplyCall(UnaryPool* pool, const KvContext* kv) : MessageCall<Request>(pool), kv_(kv) {}

 private:
  std::optional<Refusal> CheckAll() const {
    const Request& request = this->request();
    if constexpr (std::is_same_v<Request, TxnRequest>) {
      if (auto refusal = Check(request, kv_->limits)) return refusal;
      if (IsReadOnly(request)) return std::nullopt;
    } else {
      if (auto refusal = Check(request)) return refusal;
    }
    // What the client sent is an upper bound, unless it sent fields twice.
    if (FitsInEntry(this->request_bytes(), kv_->limits)) return std::nullopt;
    if (FitsInEntry(request.ByteSizeLong(), kv_->limits)) return std::nullopt;
    return Refusal::kRequestTooLarge;
  }
  rpc::Status Prepare() override {
    const std::optional<Refusal> refusal = CheckAll();
    if (!refusal.has_value()) op_.v = ToOp(this->request());
    return StatusOf(refusal);
  }
  void Start() override {
    kv_->engine->committer->Apply(&op_, this->request_bytes(),
                                  [this](absl::StatusOr<revision::OpResult> result) {
                                    if (!result.ok()) {
                                      this->Fail(ToGrpc(result.status()));
                                      return;
                                    }
                                    this->Reply(EncodeResult(kv_->engine->Ids(), *result));
                                  });
  }
  void Clear() override {
    op_.v = revision::RangeOp{};
    MessageCall<Request>::Clear();
  }

  const KvContext* const kv_;
  revision::Op op_;
};

// RangeStream: the answer in pieces, at the client's pace: the next piece is read from the store
// when the one before is in the transport's hands. All pieces are of one revision.
class RangeStreamCall final : public StreamCall {
 public:
  RangeStreamCall(CallHost* host, const KvContext* kv) : StreamCall(host), kv_(kv) {}

 private:
  // How much one message holds, about; and its keys, at first and at most, so that other work gets
  // its turn.
  static constexpr size_t kPieceBytes = 512UL * 1024;
  static constexpr size_t kFirstPieceKeys = 100;
  static constexpr size_t kMaxPieceKeys = 1000;

  void OnOpen() override { Read(); }
  void OnHalfClosed() override {
    // The client went away before it asked for anything.
    if (!asked_) Finish(MalformedRequest("unexpected EOF"));
  }
  void OnMessage(const rpc::Message& message) override {
    asked_ = true;
    rpc::Status status = ParseRequest(message, &request_);
    if (status.ok()) status = StatusOf(Check(request_));
    if (status.ok() && Sorted()) status = ToGrpc(Refusal::kSortedStream);
    if (!status.ok()) {
      Finish(status);
      return;
    }
    op_ = ToOp(request_);
    waiting_ = true;
    kv_->engine->committer->OpenCursor(&op_, [this](absl::StatusOr<Store::Cursor> cursor) {
      waiting_ = false;
      if (!closed()) OnCursor(std::move(cursor));
      FreeIfOver();
    });
  }
  [[nodiscard]] bool Sorted() const {
    return request_.sort_order() != RangeRequest::NONE ||
           request_.sort_target() != RangeRequest::KEY;
  }
  [[nodiscard]] bool Busy() const override { return waiting_; }

  using Store = revision::Store;
  void OnCursor(absl::StatusOr<Store::Cursor> cursor) {
    if (!cursor.ok()) {
      Finish(ToGrpc(cursor.status()));
      return;
    }
    cursor_ = *std::move(cursor);
    // The header names the newest revision, whichever was asked for.
    header_revision_ = kv_->engine->store->committed();
    WritePiece();
  }
  void OnWritten() override {
    if (cursor_.done) {
      Finish(rpc::Status());
    } else {
      WritePiece();
    }
  }
  void WritePiece() {
    revision::RangeResult piece;
    piece.keys_only = op_.keys_only;
    const absl::Status status = kv_->engine->store->Step(op_, piece_keys_, &cursor_, &piece);
    if (!status.ok()) {
      Finish(ToGrpc(status));
      return;
    }
    SizeNextPiece(piece);
    piece.revision = header_revision_;
    Write(EncodeRangePiece(kv_->engine->Ids(), piece, cursor_.done ? Piece::kLast : Piece::kMore));
  }

  void SizeNextPiece(const revision::RangeResult& piece) {
    size_t bytes = 0;
    for (const revision::KvRef& kv : piece.kvs) bytes += kv->encoded_size();
    if (bytes == 0) return;
    const size_t per_key = 1 + bytes / piece.kvs.size();
    piece_keys_ = std::clamp<size_t>(kPieceBytes / per_key, 1, kMaxPieceKeys);
  }

  const KvContext* const kv_;
  RangeRequest request_;
  revision::RangeOp op_;
  Store::Cursor cursor_;
  Revision header_revision_;
  size_t piece_keys_ = kFirstPieceKeys;
  bool asked_ = false;
  bool waiting_ = false;
};

void Compact(const Engine* engine, SimpleCall<CompactionRequest>* call) {
  using Wait = revision::Committer::Wait;
  const CompactionRequest& request = call->request();
  engine->committer->Compact(Revision(request.revision()),
                             request.physical() ? Wait::kPhysical : Wait::kLogical,
                             [engine, call](absl::StatusOr<Revision> revision) {
                               if (!revision.ok()) {
                                 call->Fail(ToGrpc(revision.status()));
                                 return;
                               }
                               CompactionResponse response;
                               engine->FillHeader(response.mutable_header(), *revision);
                               call->Reply(EncodeMessage(response));
                             });
}

}  // namespace

void BindKv(const Engine* engine, const RequestLimits& limits, Server* server) {
  const auto kv = std::make_shared<const KvContext>(KvContext{engine, limits});
  const auto* service = RangeRequest::descriptor()->file()->FindServiceByName("KV");
  server->AddService(service);
  server->BindUnary(service, "Range",
                    [kv](UnaryPool* pool) { return std::make_unique<RangeCall>(pool, kv.get()); });
  server->BindUnary(service, "Put", [kv](UnaryPool* pool) {
    return std::make_unique<ApplyCall<PutRequest>>(pool, kv.get());
  });
  server->BindUnary(service, "DeleteRange", [kv](UnaryPool* pool) {
    return std::make_unique<ApplyCall<DeleteRangeRequest>>(pool, kv.get());
  });
  server->BindUnary(service, "Txn", [kv](UnaryPool* pool) {
    return std::make_unique<ApplyCall<TxnRequest>>(pool, kv.get());
  });
  for (const char* method : {"Put", "DeleteRange", "Txn", "Compact"}) {
    server->Forward(service, method);
  }
  server->BindUnary(service, "Compact", SimpleCallFactory<CompactionRequest>([engine](auto* call) {
                      Compact(engine, call);
                    }));
  server->BindStream(service, "RangeStream", [kv](CallHost* host) {
    return std::make_unique<RangeStreamCall>(host, kv.get());
  });
}

}  // namespace jetd::etcdapi
