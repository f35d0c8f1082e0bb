// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/forwarder.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "base/error.h"
#include "base/etcdpb/header.pb.h"
#include "base/strings.h"
#include "etcdapi/status_map.h"
#include "google/protobuf/io/coded_stream.h"

namespace jetd::etcdapi {
namespace {

// At first, and at last.
constexpr std::chrono::milliseconds kTryAgain{10};
constexpr std::chrono::milliseconds kTryAgainSlowly{160};
// Field 1 of every answer, length-delimited: the header.
constexpr uint32_t kHeaderTag = 0x0a;

// A member that did not take the call.
bool NotTaken(const revision::Peers::CallAnswer& answer) {
  return answer.code == static_cast<int>(rpc::Code::kUnavailable) &&
         (answer.text == ToGrpc(Refusal::kNoLeader).message() ||
          answer.text == ToGrpc(MakeError(Errc::kUnavailable)).message());
}

// The answer with this member in its header, as etcd's members put themselves there.
std::string InOurName(const std::string& answer, uint64_t member_id) {
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(answer.data()),
                                            static_cast<int>(answer.size()));
  uint32_t size = 0;
  etcdserverpb::ResponseHeader header;
  if (in.ReadTag() != kHeaderTag || !in.ReadVarint32(&size)) return answer;
  const auto begin = static_cast<size_t>(in.CurrentPosition());
  if (size > answer.size() - begin ||
      !header.ParseFromArray(answer.data() + begin, static_cast<int>(size))) {
    return answer;
  }
  header.set_member_id(member_id);
  const std::string ours = header.SerializeAsString();
  std::string patched(1, static_cast<char>(kHeaderTag));
  uint8_t varint[10];
  const uint8_t* end = google::protobuf::io::CodedOutputStream::WriteVarint32ToArray(
      static_cast<uint32_t>(ours.size()), varint);
  patched.append(reinterpret_cast<const char*>(varint), static_cast<size_t>(end - varint));
  patched += ours;
  patched.append(answer, begin + size);
  return patched;
}

}  // namespace

void Forwarder::Forward(std::string method, std::string request, DoneFn done) {
  if (under_way_ >= limits::kMaxQueuedRequests || bytes_under_way_ + request.size() > max_bytes_) {
    executor_->Defer(
        [done = std::move(done)] { done(ToGrpc(MakeError(Errc::kTooManyRequests)), {}); });
    return;
  }
  ++under_way_;
  bytes_under_way_ += request.size();
  auto attempt = std::make_shared<Attempt>();
  attempt->method = std::move(method);
  attempt->request = std::move(request);
  attempt->done = [this, bytes = attempt->request.size(), done = std::move(done)](
                      const rpc::Status& status, const std::string& answer) {
    --under_way_;
    bytes_under_way_ -= bytes;
    done(status, answer);
  };
  attempt->delay = kTryAgain;
  attempt->until = executor_->Now() + limits::kUnavailableAfter;
  executor_->Defer([this, attempt] { Try(attempt); });
}

void Forwarder::Try(const std::shared_ptr<Attempt>& attempt) {
  if (committer_->phase() == revision::Committer::Phase::kStopped) {
    attempt->done(ToGrpc(Refusal::kStopped), {});
  } else if (!Wanted()) {
    run_(attempt->method, attempt->request, attempt->done);
  } else if (!peers_->found()) {
    TryLater(attempt);
  } else {
    peers_->Call(attempt->method, attempt->request,
                 [this, attempt](absl::StatusOr<revision::Peers::Called> called) {
                   if (called.ok()) return OnCalled(attempt, *std::move(called));
                   if (GetErrc(called.status()) != Errc::kTimeout) return TryLater(attempt);
                   attempt->done(ToGrpc(called.status()), {});
                 });
  }
}

void Forwarder::TryLater(const std::shared_ptr<Attempt>& attempt) {
  if (executor_->Now() >= attempt->until) {
    attempt->done(ToGrpc(Refusal::kNoLeader), {});
    return;
  }
  executor_->RunAfter(attempt->delay, [this, attempt] { Try(attempt); });
  attempt->delay = std::min(2 * attempt->delay, kTryAgainSlowly);
}

void Forwarder::OnCalled(const std::shared_ptr<Attempt>& attempt, revision::Peers::Called called) {
  if (NotTaken(called.answer)) return TryLater(attempt);
  if (called.answer.code != 0) {
    attempt->done(rpc::Status(static_cast<rpc::Code>(called.answer.code), called.answer.text), {});
    return;
  }
  committer_->WaitApplied(
      called.committed,
      [this, attempt, answer = std::move(called.answer.response)](const absl::Status& status) {
        if (status.ok()) {
          attempt->done(rpc::Status(), InOurName(answer, member_id_));
        } else {
          attempt->done(ToGrpc(status), {});
        }
      });
}

}  // namespace jetd::etcdapi
