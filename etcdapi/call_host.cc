// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/call_host.h"

#include <utility>

#include "etcdapi/stream_call.h"

namespace jetd::etcdapi {

void CallHost::CallEnded() {
  if (--live_ == 0 && on_none_left_) loop_->Defer(std::exchange(on_none_left_, nullptr));
}

void CallHost::WhenNoCalls(std::function<void()> fn) {
  if (live_ == 0) {
    loop_->Defer(std::move(fn));
  } else {
    on_none_left_ = std::move(fn);
  }
}

void CallHost::AddStream(StreamCall* stream) {
  stream->index_ = streams_.size();
  streams_.push_back(stream);
}

void CallHost::RemoveStream(StreamCall* stream) {
  const size_t index = stream->index_;
  streams_[index] = streams_.back();
  streams_[index]->index_ = index;
  streams_.pop_back();
}

void CallHost::ForEachStream(const std::function<void(StreamCall*)>& fn) {
  const std::vector<StreamCall*> streams = streams_;
  for (StreamCall* stream : streams) fn(stream);
}

}  // namespace jetd::etcdapi
