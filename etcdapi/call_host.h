// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_CALL_HOST_H_
#define JETD_ETCDAPI_CALL_HOST_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "base/mutex.h"
#include "etcdapi/answer_queue.h"
#include "etcdapi/slow_calls.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/server_context.h"

namespace jetd::etcdapi {

class StreamCall;

// CallHost is what all calls of a server share: where their work goes, and the count that lets the
// server wait until the last of them is over.
//
// Thread rules: in the groups below.
class CallHost {
 public:
  // `has_leader` is asked on the engine thread. `slow` may be null: nobody wants to know.
  CallHost(Loop* loop, grpc::ServerCompletionQueue* queue, AnswerQueue* answers, SlowCalls* slow,
           size_t max_message_bytes, std::function<bool()> has_leader)
      : loop_(loop),
        queue_(queue),
        answers_(answers),
        slow_(slow),
        max_message_bytes_(max_message_bytes),
        has_leader_(std::move(has_leader)) {}
  CallHost(const CallHost&) = delete;
  CallHost& operator=(const CallHost&) = delete;

  // Any thread.
  [[nodiscard]] Loop* loop() const { return loop_; }
  [[nodiscard]] grpc::ServerCompletionQueue* queue() const { return queue_; }
  [[nodiscard]] AnswerQueue* answers() const { return answers_; }
  [[nodiscard]] size_t max_message_bytes() const { return max_message_bytes_; }
  void CallStarted() { live_.fetch_add(1, std::memory_order_relaxed); }
  void CallEnded();
  // After this calls that come are told that the server stops; streams only after RefuseStreams.
  void StopServing() { serving_.store(false, std::memory_order_release); }
  [[nodiscard]] bool serving() const { return serving_.load(std::memory_order_acquire); }
  // After this no accept is renewed.
  void StopAccepting() { accepting_.store(false, std::memory_order_release); }
  [[nodiscard]] bool accepting() const { return accepting_.load(std::memory_order_acquire); }
  // Blocks; never on the queue's or the engine's thread. After StopAccepting.
  void WaitUntilNoCalls();

  // Engine thread.
  [[nodiscard]] SlowCalls* slow() const { return slow_; }
  [[nodiscard]] bool has_leader() const { return has_leader_(); }
  void AddStream(StreamCall* stream);
  void RemoveStream(StreamCall* stream);
  // Calls `fn` for each open stream; it may end them.
  void ForEachStream(const std::function<void(StreamCall*)>& fn);
  [[nodiscard]] size_t streams() const { return streams_.size(); }
  void RefuseStreams() { refuses_streams_ = true; }
  [[nodiscard]] bool refuses_streams() const { return refuses_streams_; }

 private:
  // Constant.
  Loop* const loop_;
  grpc::ServerCompletionQueue* const queue_;
  AnswerQueue* const answers_;
  SlowCalls* const slow_;
  const size_t max_message_bytes_;
  const std::function<bool()> has_leader_;

  // Self-synchronised.
  std::atomic<int64_t> live_{0};
  std::atomic<bool> serving_{true};
  std::atomic<bool> accepting_{true};
  Mutex mutex_;
  CondVar none_left_;

  // The engine thread's.
  std::vector<StreamCall*> streams_;
  bool refuses_streams_ = false;
};

// True if the client wants an error rather than an answer of a member without a leader (metadata
// `hasleader: true`, as etcd's WithRequireLeader sends it).
[[nodiscard]] bool RequiresLeader(const grpc::ServerContext& context);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_CALL_HOST_H_
