// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/snapshot_call.h"

#include <openssl/evp.h>

#include <array>
#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/etcdpb/rpc.pb.h"
#include "base/limits.h"
#include "etcdapi/answer.h"
#include "etcdapi/backend_file.h"
#include "etcdapi/status_map.h"
#include "etcdapi/stream_call.h"

namespace jetd::etcdapi {
namespace {

using etcdserverpb::SnapshotResponse;

// What one message holds; about a tenth of a millisecond to put together.
constexpr size_t kPieceBytes = 128UL << 10;

// SHA-256 of what is added.
class Sum {
 public:
  Sum() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    JETD_CHECK(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1) << "no SHA-256";
  }
  void Add(const std::string& bytes) {
    JETD_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1) << "SHA-256";
  }
  std::string Finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned size = 0;
    JETD_CHECK(EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1) << "SHA-256";
    return {reinterpret_cast<const char*>(digest.data()), size};
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

// Engine thread.
struct Service {
  const Engine* engine;
  size_t under_way = 0;
};

class SnapshotCall final : public StreamCall {
 public:
  SnapshotCall(CallHost* host, std::shared_ptr<Service> service)
      : StreamCall(host), service_(std::move(service)) {}

 private:
  void OnOpen() override { Read(); }
  void OnHalfClosed() override {
    // The client went away before it asked for anything.
    if (!asked_) Finish(MalformedRequest("unexpected EOF"));
  }
  void OnMessage(const rpc::Message& /*message: it has no fields*/) override {
    asked_ = true;
    if (service_->under_way >= limits::kMaxSnapshots) {
      Finish(ToGrpc(MakeError(Errc::kTooManyRequests)));
      return;
    }
    ++service_->under_way;
    const Engine& engine = *service_->engine;
    file_ = std::make_unique<BackendFile>(
        engine.store->TakeSnapshot(),
        BackendFile::Position{.index = engine.committer->last_seq().value(),
                              .term = static_cast<uint64_t>(engine.committer->term().value())},
        engine.committer->alarms().OfEtcd());
    left_ = file_->size();
    WritePiece();
  }
  void OnWritten() override {
    if (!ended_) {
      WritePiece();
    } else {
      Finish(rpc::Status());
    }
  }
  void OnClosed() override {
    service_->engine->loop->Cancel(std::exchange(patience_, 0));
    if (file_ == nullptr) return;
    file_.reset();
    --service_->under_way;
  }

  void WritePiece() {
    SnapshotResponse piece;
    if (file_->done()) {
      ended_ = true;
      *piece.mutable_blob() = sum_.Finish();
    } else {
      const absl::Status status = file_->Write(kPieceBytes, piece.mutable_blob());
      if (!status.ok()) {
        Finish(ToGrpc(status));
        return;
      }
      sum_.Add(piece.blob());
      left_ -= piece.blob().size();
      piece.set_remaining_bytes(left_);
    }
    Loop* const loop = service_->engine->loop;
    loop->Cancel(patience_);
    patience_ = loop->RunAfter(limits::kSnapshotPatience, [this] {
      patience_ = 0;
      Finish({rpc::Code::kDeadlineExceeded, "jetd: the client of the snapshot took nothing"});
    });
    Write(EncodeMessage(piece));
  }

  const std::shared_ptr<Service> service_;
  bool asked_ = false;
  bool ended_ = false;
  std::unique_ptr<BackendFile> file_;
  uint64_t left_ = 0;
  Sum sum_;
  TimerId patience_ = 0;
};

}  // namespace

void BindSnapshot(const Engine* engine, Server* server) {
  const auto* service = SnapshotResponse::descriptor()->file()->FindServiceByName("Maintenance");
  auto shared = std::make_shared<Service>(Service{.engine = engine});
  server->BindStream(service, "Snapshot", [shared](CallHost* host) {
    return std::make_unique<SnapshotCall>(host, shared);
  });
}

}  // namespace jetd::etcdapi
