// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/watch_service.h"

#include <deque>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/etcdpb/rpc.pb.h"
#include "etcdapi/answer.h"
#include "etcdapi/request_decoder.h"
#include "etcdapi/status_map.h"
#include "etcdapi/stream_call.h"

namespace jetd::etcdapi {
namespace {

using etcdserverpb::WatchRequest;

// Responses that wait to be written. With more the client's next request is left unread, so that
// one who asks and never reads costs no more than this; what events may wait is the hub's bound.
constexpr size_t kMaxUnread = 256;

// One watch stream of one client. The hub decides what is said; this spells it, one message at a
// time: responses wait unencoded, as references to the store's blocks.
class WatchCall final : public StreamCall, public watch::WatchHub::Sink {
 public:
  WatchCall(CallHost* host, const Engine* engine) : StreamCall(host), engine_(engine) {}

  // watch::WatchHub::Sink.
  void Deliver(watch::Response response) override {
    if (closed()) return;
    if (writing() || !waiting_.empty()) {
      waiting_.push_back(std::move(response));
    } else {
      Send(response);
    }
  }

 private:
  void OnOpen() override {
    stream_ = engine_->hub->OpenStream(this);
    Read();
  }
  void OnMessage(const rpc::Message& message) override {
    request_.Clear();
    const rpc::Status status = ParseRequest(message, &request_);
    if (!status.ok()) {
      Finish(status);
      return;
    }
    Handle();
    ReadUnlessFull();
  }
  // etcd goes on sending events to a client that has closed its side.
  void OnHalfClosed() override { half_closed_ = true; }
  void OnWritten() override {
    const size_t written = sent_bytes_;
    if (!waiting_.empty()) {
      const watch::Response next = std::move(waiting_.front());
      waiting_.pop_front();
      Send(next);
    }
    // Last: the hub may deliver more at once.
    stream_->Written(written);
    if (!closed()) ReadUnlessFull();
  }
  void OnClosed() override {
    stream_.reset();
    waiting_.clear();
  }

  void Handle() {
    switch (request_.request_union_case()) {
      case WatchRequest::kCreateRequest:
        if (request_.create_request().start_revision() < 0) {
          RefuseStart();
        } else {
          stream_->Create(ToCreate(request_.create_request()));
        }
        break;
      case WatchRequest::kCancelRequest:
        stream_->Cancel(WatchId(request_.cancel_request().watch_id()));
        break;
      case WatchRequest::kProgressRequest:
        stream_->RequestProgress();
        break;
      case WatchRequest::REQUEST_UNION_NOT_SET:
        break;  // etcd ignores it
    }
  }
  void RefuseStart() {
    watch::Response refused;
    refused.watch_id = WatchId(-1);
    refused.revision = engine_->store->committed();
    refused.created = true;
    refused.canceled = true;
    refused.cancel_reason = CancelReason(MakeError(Errc::kCompacted));
    Deliver(std::move(refused));
  }
  void ReadUnlessFull() {
    if (!half_closed_ && !reading() && waiting_.size() < kMaxUnread) Read();
  }
  void Send(const watch::Response& response) {
    sent_bytes_ = response.size_bytes();
    Write(EncodeWatch(engine_->Ids(), response));
  }

  const Engine* const engine_;
  WatchRequest request_;
  std::unique_ptr<watch::WatchHub::Stream> stream_;
  std::deque<watch::Response> waiting_;
  size_t sent_bytes_ = 0;
  bool half_closed_ = false;
};

}  // namespace

void BindWatch(const Engine* engine, Server* server) {
  const auto* service = WatchRequest::descriptor()->file()->FindServiceByName("Watch");
  server->AddService(service);
  server->BindStream(service, "Watch", [engine](CallHost* host) {
    return std::make_unique<WatchCall>(host, engine);
  });
}

}  // namespace jetd::etcdapi
