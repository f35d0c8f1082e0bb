// SPDX-License-Identifier: Apache-2.0
#include "conformance/differential/side.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "base/strings.h"

namespace jetd::conformance::differential {
namespace {

using google::protobuf::Message;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How long etcd may leave a progress request unanswered because a watch is still catching up (it
// looks every 100 ms) before it is asked again.
constexpr milliseconds kAskAgain{150};
constexpr milliseconds kExpiryPoll{25};
// A server that stood still lets leases live longer, so that clients may renew them first.
constexpr milliseconds kExpiryPatience{120'000};

template <typename Response>
Answer Wrap(absl::StatusOr<Response> response) {
  if (!response.ok()) return {response.status(), nullptr};
  return {absl::OkStatus(), std::make_unique<Response>(*std::move(response))};
}

}  // namespace

struct Side::WatchStream {
  WatchLog log;
  size_t creates = 0, cancels = 0;
  std::unique_ptr<etcdclient::WatchStream> stream;  // last: its thread uses the log
};

// Runs one call of each kind.
struct Side::Runner {
  Side& side;

  template <typename Request>
  Answer operator()(const Request& request) const {
    Request actual = request;
    side.leases_.ToActual(actual);
    return Wrap(side.client_->Call(actual, {.timeout = side.options_.timeout}));
  }
  Answer operator()(const StreamedRange& call) const {
    if (side.options_.has_range_stream) return side.RunRangeStream(call.request);
    return (*this)(call.request);
  }
  Answer operator()(const RawCall& call) const {
    const auto bytes =
        side.client_->CallBytes(call.path, call.bytes, {.timeout = side.options_.timeout});
    return {bytes.status(), nullptr};
  }
  Answer operator()(const pb::LeaseKeepAliveRequest& request) const {
    return side.RunKeepAlive(request);
  }
  Answer operator()(const WatchControl& call) const { return side.RunWatch(call); }
  Answer operator()(const WatchProgress& call) const { return side.RunProgress(call); }
  Answer operator()(const AwaitNotification& call) const {
    pb::StatusRequest request;
    const auto now = side.client_->Call(request);
    if (!now.ok()) return {now.status(), nullptr};
    const bool came =
        side.OpenStream(call.stream)
            .log.WaitNotification(call.watch_id, now->header().revision(), side.deadline());
    return {came ? absl::OkStatus() : absl::DeadlineExceededError("no progress notification"),
            nullptr};
  }
  Answer operator()(const CloseWatchStream& call) const {
    side.streams_.erase(call.stream);
    return {};
  }
  Answer operator()(const AwaitExpiry& call) const { return side.RunExpiry(call); }
  Answer operator()(const KillServers&) const {
    side.streams_.clear();
    side.keep_alive_.reset();
    // It was done; the connection is made anew with the first call.
    pb::StatusRequest request;
    const etcdclient::CallOptions wait{.timeout = side.options_.timeout,
                                       .unreachable = etcdclient::CallOptions::Unreachable::kWait};
    return {side.client_->Call(request, wait).status(), nullptr};
  }
};

Side::Side(const Options& options, std::unique_ptr<etcdclient::Client> client)
    : options_(options), client_(std::move(client)) {}

Side::~Side() {
  streams_.clear();
  keep_alive_.reset();
}

absl::StatusOr<std::unique_ptr<Side>> Side::Connect(const Options& options) {
  auto client = etcdclient::Client::Connect({.endpoint = options.endpoint});
  if (!client.ok()) return client.status();
  return std::unique_ptr<Side>(new Side(options, *std::move(client)));
}

WatchLog::Deadline Side::deadline() const { return steady_clock::now() + options_.timeout; }

void Side::Violated(const std::string& what) {
  MutexLock lock(mutex_);
  if (violation_.empty()) violation_ = what;
}

std::string Side::violation() const {
  {
    MutexLock lock(mutex_);
    if (!violation_.empty()) return violation_;
  }
  for (const auto& [number, stream] : streams_) {
    const std::string found = stream->log.violation();
    if (!found.empty()) return Cat("stream ", number, ": ", found);
  }
  return "";
}

void Side::TakeHeader(Message& message) {
  const auto* field = message.GetDescriptor()->FindFieldByName("header");
  if (field == nullptr || !message.GetReflection()->HasField(message, field)) return;
  auto& header =
      static_cast<pb::ResponseHeader&>(*message.GetReflection()->MutableMessage(&message, field));
  bool own = header.cluster_id() != 0 && header.member_id() != 0 && header.raft_term() != 0;
  {
    MutexLock lock(mutex_);
    if (cluster_id_ == 0) cluster_id_ = header.cluster_id();
    if (member_id_ == 0) member_id_ = header.member_id();
    own = own && header.cluster_id() == cluster_id_ && header.member_id() == member_id_;
  }
  if (!own) Violated(Cat("a header that is not this server's: ", header.ShortDebugString()));
  header.clear_cluster_id();
  header.clear_member_id();
  header.clear_raft_term();
}

Answer Side::Run(const Step& step) {
  Call call = step.call;
  if (options_.mutant != nullptr) options_.mutant->OnCall(call);
  Answer answer = std::visit(Runner{*this}, call);
  if (options_.mutant != nullptr) {
    options_.mutant->OnAnswer(call, answer);
    if (const std::string key = options_.mutant->HiddenPut(call); !key.empty()) {
      pb::PutRequest put;
      put.set_key(key);
      (void)client_->Call(put);
      pb::DeleteRangeRequest remove;
      remove.set_key(key);
      (void)client_->Call(remove);
    }
  }
  if (!answer.status.ok() || answer.message == nullptr) return answer;
  if (step.known_as != 0) {
    leases_.Learn(step.known_as, static_cast<pb::LeaseGrantResponse&>(*answer.message).id());
  }
  // A watch response was seen to when it came.
  if (answer.message->GetDescriptor() == pb::WatchResponse::descriptor()) return answer;
  leases_.ToKnown(*answer.message);
  TakeHeader(*answer.message);
  return answer;
}

Side::WatchStream& Side::OpenStream(int number) {
  std::unique_ptr<WatchStream>& stream = streams_[number];
  if (stream != nullptr) return *stream;
  stream = std::make_unique<WatchStream>();
  WatchLog* log = &stream->log;
  Mutant* mutant = options_.mutant;
  // Lease ids are only ever learnt before a key with one of them is put, hence before its events.
  const auto add = [this, log](pb::WatchResponse response) {
    TakeHeader(response);
    leases_.ToKnown(response);
    log->Add(std::move(response));
  };
  stream->stream =
      client_->OpenWatch({.on_message =
                              [mutant, add](pb::WatchResponse response) {
                                if (mutant == nullptr) return add(std::move(response));
                                for (auto& one : mutant->OnWatchResponse(std::move(response)))
                                  add(std::move(one));
                              },
                          .on_end = [log](const absl::Status& status) { log->End(status); }});
  return *stream;
}

WatchLog* Side::watch_log(int stream) {
  const auto found = streams_.find(stream);
  return found == streams_.end() ? nullptr : &found->second->log;
}

Answer Side::RunWatch(const WatchControl& control) {
  WatchStream& stream = OpenStream(control.stream);
  stream.stream->Send(control.request);
  if (!control.answered) return {};
  if (control.request.has_create_request()) {
    return Wrap(stream.log.WaitCreated(++stream.creates, deadline()));
  }
  return Wrap(stream.log.WaitCanceled(++stream.cancels, deadline()));
}

Answer Side::RunProgress(const WatchProgress& call) {
  WatchStream& stream = OpenStream(call.stream);
  const auto end = deadline();
  const size_t before = stream.log.progress_count();
  pb::WatchRequest request;
  request.mutable_progress_request();
  while (steady_clock::now() < end) {
    stream.stream->Send(request);
    auto answer = stream.log.WaitProgress(before, steady_clock::now() + kAskAgain);
    if (answer.has_value()) {
      return {absl::OkStatus(), std::make_unique<pb::WatchResponse>(*std::move(answer))};
    }
  }
  return {absl::DeadlineExceededError("no answer to a progress request"), nullptr};
}

Answer Side::RunExpiry(const AwaitExpiry& call) {
  pb::LeaseTimeToLiveRequest request;
  request.set_id(call.lease);
  leases_.ToActual(request);
  const auto end = steady_clock::now() + kExpiryPatience;
  while (steady_clock::now() < end) {
    auto answer = client_->Call(request, {.timeout = options_.timeout});
    // etcd may answer -1 too for one that is overdue and not yet gone.
    if (!answer.ok() || answer->grantedttl() == 0) return Wrap(std::move(answer));
    std::this_thread::sleep_for(kExpiryPoll);
  }
  return {absl::DeadlineExceededError("the lease does not expire"), nullptr};
}

Answer Side::RunKeepAlive(const pb::LeaseKeepAliveRequest& request) {
  if (keep_alive_ == nullptr) keep_alive_ = client_->OpenKeepAlive();
  pb::LeaseKeepAliveRequest actual = request;
  leases_.ToActual(actual);
  keep_alive_->Send(actual);
  return Wrap(keep_alive_->Next(options_.timeout));
}

Answer Side::RunRangeStream(const pb::RangeRequest& request) {
  const auto stream = client_->Open<pb::RangeRequest, pb::RangeStreamResponse>();
  stream->Send(request);
  stream->CloseSend();
  auto merged = std::make_unique<pb::RangeResponse>();
  bool last_seen = false;
  while (true) {
    auto piece = stream->Next(options_.timeout);
    if (!piece.ok()) {
      if (absl::IsOutOfRange(piece.status()) &&
          MessageOf(piece.status()) == etcdclient::kEndOfStream) {
        break;
      }
      return {piece.status(), nullptr};
    }
    if (last_seen) Violated("RangeStream: a piece after the one with the header");
    const pb::RangeResponse& range = piece->range_response();
    last_seen = range.has_header();
    if (!last_seen && (range.more() || range.count() != 0)) {
      Violated("RangeStream: more or count on a piece that is not the last");
    }
    merged->MergeFrom(range);
  }
  if (!last_seen) Violated("RangeStream: no piece with a header");
  return {absl::OkStatus(), std::move(merged)};
}

}  // namespace jetd::conformance::differential
