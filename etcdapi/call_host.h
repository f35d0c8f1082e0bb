// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_CALL_HOST_H_
#define JETD_ETCDAPI_CALL_HOST_H_

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "etcdapi/slow_calls.h"
#include "rpc/call.h"

namespace jetd::etcdapi {

class StreamCall;

// CallHost is what all calls of a server share: where their work goes, and the count that lets the
// server wait until the last of them is over.
//
// Thread rules: engine thread only, but for loop().
class CallHost {
 public:
  // `slow` may be null: nobody wants to know.
  CallHost(Loop* loop, SlowCalls* slow, std::function<bool()> has_leader)
      : loop_(loop), slow_(slow), has_leader_(std::move(has_leader)) {}
  CallHost(const CallHost&) = delete;
  CallHost& operator=(const CallHost&) = delete;

  [[nodiscard]] Loop* loop() const { return loop_; }
  [[nodiscard]] SlowCalls* slow() const { return slow_; }
  [[nodiscard]] bool has_leader() const { return has_leader_(); }

  void CallStarted() { ++live_; }
  void CallEnded();
  // Runs `fn` once, with no call's function below it, when no call is left.
  void WhenNoCalls(std::function<void()> fn);

  // After this calls that come are told that the server stops; streams only after RefuseStreams.
  void StopServing() { serving_ = false; }
  [[nodiscard]] bool serving() const { return serving_; }
  void RefuseStreams() { refuses_streams_ = true; }
  [[nodiscard]] bool refuses_streams() const { return refuses_streams_; }

  void AddStream(StreamCall* stream);
  void RemoveStream(StreamCall* stream);
  // Calls `fn` for each open stream; it may end them.
  void ForEachStream(const std::function<void(StreamCall*)>& fn);

 private:
  Loop* const loop_;
  SlowCalls* const slow_;
  const std::function<bool()> has_leader_;

  size_t live_ = 0;
  std::function<void()> on_none_left_;
  bool serving_ = true;
  bool refuses_streams_ = false;
  std::vector<StreamCall*> streams_;
};

// True if the client wants an error rather than an answer of a member without a leader (metadata
// `hasleader: true`, as etcd's WithRequireLeader sends it). While rpc::Methods::Open runs.
inline constexpr char kHasLeader[] = "hasleader";
[[nodiscard]] inline bool RequiresLeader(const rpc::Call& call) {
  return call.metadata(kHasLeader) == "true";
}

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_CALL_HOST_H_
