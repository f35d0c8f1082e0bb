// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_ANSWER_QUEUE_H_
#define JETD_ETCDAPI_ANSWER_QUEUE_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>

#include "base/loop.h"
#include "etcdapi/tag.h"
#include "grpcpp/completion_queue.h"

namespace jetd::etcdapi {

// AnswerQueue is the completion queue on which the answers of unary calls come back when gRPC has
// written them. No thread waits on it: most answers are written before Finish returns, on the
// engine thread, which looks here at the end of its rounds. On the queue that the gRPC thread waits
// on, each answer would wake that thread only to have its call put away.
//
// An answer that gRPC could not write at once (a slow client) is found by a later round, or by a
// timer that runs only while such answers are out.
//
// Thread rules: in the groups below. The loop keeps a reference for its own life.
class AnswerQueue {
 public:
  // Between looks for late answers: from the first, doubled to the last.
  static constexpr std::chrono::milliseconds kFirstLook{5};
  static constexpr std::chrono::milliseconds kLastLook{1000};

  // On the thread that may add hooks to the loop: before it runs, or the engine's.
  static std::shared_ptr<AnswerQueue> Create(Loop* loop,
                                             std::unique_ptr<grpc::ServerCompletionQueue> queue);
  AnswerQueue(const AnswerQueue&) = delete;
  AnswerQueue& operator=(const AnswerQueue&) = delete;

  // Any thread.
  [[nodiscard]] grpc::ServerCompletionQueue* queue() const { return queue_.get(); }
  // Before an answer is given to gRPC with a tag that comes back here; its OnEvent is run by the
  // engine thread.
  void Expect();

  // When the server is shut down and no answer is out.
  void Close();

 private:
  AnswerQueue(Loop* loop, std::unique_ptr<grpc::ServerCompletionQueue> queue)
      : loop_(loop), queue_(std::move(queue)) {}
  void Look();

  Loop* const loop_;
  const std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::atomic<int64_t> out_{0};

  // The engine thread's.
  TimerId timer_ = 0;
  std::chrono::milliseconds next_look_{kFirstLook};
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_ANSWER_QUEUE_H_
