// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/call_host.h"

#include <algorithm>

namespace jetd::etcdapi {

void CallHost::CallEnded() {
  if (live_.fetch_sub(1, std::memory_order_acq_rel) != 1 || accepting()) return;
  MutexLock lock(mutex_);
  none_left_.NotifyAll();
}

void CallHost::WaitUntilNoCalls() {
  MutexLock lock(mutex_);
  while (live_.load(std::memory_order_acquire) != 0) none_left_.Wait(mutex_);
}

void CallHost::AddStream(StreamCall* stream) { streams_.push_back(stream); }

void CallHost::RemoveStream(StreamCall* stream) {
  const auto it = std::find(streams_.begin(), streams_.end(), stream);
  if (it == streams_.end()) return;
  *it = streams_.back();
  streams_.pop_back();
}

void CallHost::ForEachStream(const std::function<void(StreamCall*)>& fn) {
  const std::vector<StreamCall*> streams = streams_;
  for (StreamCall* stream : streams) fn(stream);
}

bool RequiresLeader(const grpc::ServerContext& context) {
  const auto& metadata = context.client_metadata();
  const auto it = metadata.find("hasleader");
  return it != metadata.end() && it->second == "true";
}

}  // namespace jetd::etcdapi
