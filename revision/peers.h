// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_PEERS_H_
#define JETD_REVISION_PEERS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "base/types.h"
#include "jetstream/messenger.h"
#include "revision/mark.h"

namespace jetdpb {
class PeerAnswer;
class PeerNews;
class PeerRequest;
}  // namespace jetdpb

namespace jetd::revision {

// Peers is what a member knows of the others, and how it talks to them. It decides nothing: who
// leads is in the stream, and its owner, the committer, reads it there.
//
//   leader     Listen(5) before its term record is sent, Lead() once that is in the stream; it
//              answers hellos, barriers and calls, and tells all what is committed
//   follower   Follow(5): a hello every kHelloInterval. The first answer: OnLeaderFound. Nobody
//              serves the topic, or no word for kSilence: OnLeaderGone
//   neither    Rest()
//
// Everything asked of a leader ends when it is gone, has another connection, or another is
// followed: with kTimeout, since it may have been got, or kNoLeader, if it was not.
//
// A member alone costs nothing: the leader announces only while somebody said hello within
// kMemberKept, and then once a round of the engine, however much is committed in it.
//
// Thread rules: engine thread only; callbacks never come from inside a call.
class Peers {
 public:
  struct Member {
    uint64_t id = 0;
    std::string name;
    std::vector<std::string> client_urls;
  };
  // How far a leader has committed. Both, since records below it may be removed before somebody has
  // read them: then its revision tells.
  struct Committed {
    StreamSeq seq;
    Revision revision;
  };
  // The newest revision that a member has shown and does not find in the stream any more, and the
  // record that made it.
  struct Lost {
    Revision revision;
    Mark mark;
  };
  // What the committer is to its peers.
  class Owner {
   public:
    virtual ~Owner() = default;
    [[nodiscard]] virtual StreamSeq CommittedSeq() const = 0;
    [[nodiscard]] virtual Revision CommittedRevision() const = 0;
    // The number of this member's connection, from 1 on.
    [[nodiscard]] virtual uint64_t Connection() const = 0;
    // Calls back once everything that anybody was told is committed here; with the sequence.
    virtual void OnBarrierAsked(std::function<void(absl::StatusOr<StreamSeq>)> done) = 0;
    // All up to `committed` is, for ever.
    virtual void OnAnnounced(StreamSeq committed) = 0;
    virtual void OnLeaderFound() = 0;
    // kNoLeader: nobody serves its topic; kTimeout: it is silent.
    virtual void OnLeaderGone(const absl::Status& why) = 0;
    // The leader that is followed wants this member to take over.
    virtual void OnSuccession() = 0;
    // A follower says so, with each hello.
    virtual void OnLossTold(const std::string& member_name, const Lost& lost) = 0;
  };
  // gRPC's code (0: OK), and the error's text or the answer's bytes.
  struct CallAnswer {
    int code = 0;
    std::string text;
    std::string response;
  };
  struct Called {
    Committed committed;  // at the leader, when it answered
    CallAnswer answer;
  };
  using CallDone = std::function<void(CallAnswer)>;
  // Views live during the call.
  using CallHandler =
      std::function<void(std::string_view method, std::string_view request, CallDone done)>;
  using CalledFn = std::function<void(absl::StatusOr<Called>)>;
  using CommittedFn = std::function<void(absl::StatusOr<Committed>)>;

  static constexpr std::chrono::milliseconds kHelloInterval{150};
  static constexpr std::chrono::milliseconds kSilence{1'500};
  static constexpr std::chrono::seconds kMemberKept{3};
  // A call or a barrier that has no answer for so long. Longer than anything that the leader does
  // for a client, but a compaction that waits for the removal.
  static constexpr std::chrono::seconds kCallPatience{30};

  Peers(Executor* executor, jetstream::Messenger* messenger, Member self);
  ~Peers();
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;

  void set_owner(Owner* owner) { owner_ = owner; }
  void set_call_handler(CallHandler handler) { call_handler_ = std::move(handler); }

  // Leading.
  void Listen(Term term);
  void Lead();
  // Something was committed.
  void Announce();
  void NameSuccessor(uint64_t member_id);

  // Following. For `grace` a topic that nobody serves means nothing yet: the leader may be
  // connecting anew.
  void Follow(Term term, std::chrono::nanoseconds grace);
  [[nodiscard]] bool found() const { return found_; }
  // Told to whoever leads until it is taken back with nothing.
  void set_lost(const std::optional<Lost>& lost) { lost_ = lost; }
  void AskBarrier(CommittedFn done);
  void Call(const std::string& method, const std::string& request, CalledFn done);

  void Rest();

  // This one first, or the leader if one was heard.
  [[nodiscard]] std::vector<Member> members() const;
  // A follower that is there, 0 if there is none.
  [[nodiscard]] uint64_t AnyFollower() const;
  [[nodiscard]] bool IsFollower(uint64_t member_id) const;

 private:
  enum class Role { kNone, kListening, kLeading, kFollowing };
  struct Follower {
    Member member;
    MonoTime heard;
  };
  using AnswerFn = jetstream::Messenger::AnswerFn;
  using Asked = std::function<void(absl::StatusOr<jetdpb::PeerAnswer>)>;

  void OnRequest(std::string_view request, AnswerFn answer);
  void OnNews(std::string_view news);
  void Forget();
  void AnswerHello(const jetdpb::PeerRequest& request, const AnswerFn& answer);
  void SayHello();
  void Ask(const jetdpb::PeerRequest& request, std::chrono::nanoseconds patience, Asked done);
  void OnHelloAnswer(const absl::StatusOr<jetdpb::PeerAnswer>& answer);
  void LoseLeader(const absl::Status& why);
  void FailAsked();
  void PublishNews(uint64_t successor);

  // Constant.
  Executor* const executor_;
  jetstream::Messenger* const messenger_;
  const Member self_;
  Owner* owner_ = nullptr;
  CallHandler call_handler_;
  uint64_t news_ = 0;

  Role role_ = Role::kNone;
  Term term_;
  uint64_t epoch_ = 0;  // of the role; what was asked in another means nothing

  // Leading.
  uint64_t serving_ = 0;
  uint64_t served_before_ = 0;  // the topic of the term before
  struct Early {
    std::string request;
    AnswerFn answer;
  };
  std::vector<Early> early_;  // requests that came before Lead
  std::map<uint64_t, Follower> followers_;
  TimerId forget_ = 0;
  bool warned_ = false;  // of one that has this one's name
  bool announcing_ = false;

  // Following.
  std::optional<Lost> lost_;
  bool found_ = false;
  MonoTime heard_{0};
  MonoTime grace_until_{0};
  uint64_t connection_ = 0;  // of the leader's, 0: not known
  TimerId hello_ = 0;
  std::vector<Member> members_;
  uint64_t next_asked_ = 1;
  std::map<uint64_t, Asked> asked_;

  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_PEERS_H_
