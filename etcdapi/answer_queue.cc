// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/answer_queue.h"

#include <algorithm>
#include <utility>

#include "grpc/support/time.h"

namespace jetd::etcdapi {

std::shared_ptr<AnswerQueue> AnswerQueue::Create(
    Loop* loop, std::unique_ptr<grpc::ServerCompletionQueue> queue) {
  std::shared_ptr<AnswerQueue> answers(new AnswerQueue(loop, std::move(queue)));
  loop->AddRoundHook([answers] { answers->Look(); });
  return answers;
}

void AnswerQueue::Expect() {
  out_.fetch_add(1, std::memory_order_acq_rel);
  // The engine thread is in a round, and looks at its end.
  if (!loop_->InLoop()) loop_->Post([] {});
}

void AnswerQueue::Look() {
  if (out_.load(std::memory_order_acquire) == 0) return;
  bool found = false;
  void* tag = nullptr;
  bool ok = false;
  while (out_.load(std::memory_order_acquire) > 0 &&
         queue_->AsyncNext(&tag, &ok, gpr_inf_past(GPR_CLOCK_MONOTONIC)) ==
             grpc::CompletionQueue::GOT_EVENT) {
    found = true;
    // First the count: what OnEvent lets go of may be waited for.
    out_.fetch_sub(1, std::memory_order_acq_rel);
    static_cast<Tag*>(tag)->Fire(ok);
  }
  if (found) next_look_ = kFirstLook;
  if (timer_ != 0 || out_.load(std::memory_order_acquire) == 0) return;
  timer_ = loop_->RunAfter(next_look_, [this] { timer_ = 0; });
  next_look_ = std::min(next_look_ * 2, kLastLook);
}

void AnswerQueue::Close() {
  queue_->Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) {
  }
}

}  // namespace jetd::etcdapi
