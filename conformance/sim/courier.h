// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_SIM_COURIER_H_
#define JETD_CONFORMANCE_SIM_COURIER_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/executor.h"
#include "revision/committer.h"
#include "revision/peers.h"
#include "revision/request.h"

namespace jetd::conformance::sim {

// Brings a follower's writes to the leader, over Peers, by the rules of etcdapi/forwarder.h: a
// write is sent again only when it certainly was not taken, and answered when it can be read here.
// What travels as bytes are numbers of letters; everything else does as in jetd.
//
// One thread. Committer and peers outlive it; operations outlive all members.
class Courier {
 public:
  // What is in the letters.
  struct Mail {
    uint64_t next = 1;
    std::map<uint64_t, const revision::Op*> requests;
    std::map<uint64_t, revision::OpResult> answers;
  };
  Courier(Executor* executor, revision::Committer* committer, revision::Peers* peers, Mail* mail);
  Courier(const Courier&) = delete;
  Courier& operator=(const Courier&) = delete;

  void Apply(const revision::Op* op, revision::Committer::ApplyDone done);
  // Nobody is there to be told any more: what is open ends with kStopped.
  void Stop();

 private:
  struct Attempt {
    const revision::Op* op = nullptr;
    revision::Committer::ApplyDone done;
    MonoTime until{0};
    std::chrono::milliseconds delay{10};
  };

  void OnCall(std::string_view request, const revision::Peers::CallDone& done);
  void Try(uint64_t number);
  void TryLater(uint64_t number);
  void OnCalled(uint64_t number, const absl::StatusOr<revision::Peers::Called>& called);
  void End(uint64_t number, absl::StatusOr<revision::OpResult> answer);
  [[nodiscard]] revision::OpResult TakeAnswer(std::string_view number);

  Executor* const executor_;
  revision::Committer* const committer_;
  revision::Peers* const peers_;
  Mail* const mail_;
  std::map<uint64_t, Attempt> attempts_;  // by the request's number
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace jetd::conformance::sim

#endif  // JETD_CONFORMANCE_SIM_COURIER_H_
