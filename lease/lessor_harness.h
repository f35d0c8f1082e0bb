// SPDX-License-Identifier: Apache-2.0
//
// For tests: a member with a lessor, without its network, on a fake clock.
#ifndef JETD_LEASE_LESSOR_HARNESS_H_
#define JETD_LEASE_LESSOR_HARNESS_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/error.h"
#include "base/fake_executor.h"
#include "gtest/gtest.h"
#include "jetstream/memory_log.h"
#include "jetstream/memory_messenger.h"
#include "jetstream/memory_stream.h"
#include "lease/lessor.h"
#include "revision/peers.h"

namespace jetd::lease {

template <typename T>
using Answer = std::shared_ptr<std::optional<absl::StatusOr<T>>>;

template <typename T>
std::function<void(absl::StatusOr<T>)> Into(const Answer<T>& answer) {
  return [answer](absl::StatusOr<T> result) {
    EXPECT_FALSE(answer->has_value()) << "answered twice";
    *answer = std::move(result);
  };
}

// What was answered; the test fails if nothing was, or an error.
template <typename T>
T Value(const Answer<T>& answer) {
  if (!answer->has_value() || !(*answer)->ok()) {
    ADD_FAILURE() << (answer->has_value() ? (*answer)->status().ToString() : "no answer");
    return T{};
  }
  return (*answer)->value();
}
template <typename T>
Errc ErrcOf(const Answer<T>& answer) {
  return answer->has_value() ? GetErrc((*answer)->status()) : Errc::kNone;
}

// A member with a lessor; making another on the same stream is a restart. With `post` there may be
// others on it.
class LeaseMember {
 public:
  LeaseMember(FakeExecutor* exec, jetstream::MemoryStream* stream, const std::string& name,
              jetstream::MemoryLog::Options options, jetstream::MemoryPost* post = nullptr)
      : exec_(exec),
        log(exec, stream, std::move(options)),
        messenger(MakeMessenger(exec, post)),
        peers(MakePeers(exec, messenger.get(), name)),
        committer(exec, &log, &store,
                  {.member_id = 1,
                   .member_name = name,
                   .incarnation = name + "-incarnation",
                   .peers = peers.get()}),
        lessor(exec, &committer, &store, {}) {
    committer.AddListener(&lessor);
    committer.Start([](const absl::Status& why) { ADD_FAILURE() << why; });
    exec_->RunDeferred();
  }
  ~LeaseMember() {
    committer.Stop();
    exec_->RunDeferred();
  }

  Answer<Lessor::Granted> Grant(int64_t id, int64_t ttl_s) {
    auto answer = std::make_shared<std::optional<absl::StatusOr<Lessor::Granted>>>();
    lessor.Grant(LeaseId{id}, ttl_s, Into<Lessor::Granted>(answer));
    exec_->RunDeferred();
    return answer;
  }
  Answer<Revision> Revoke(int64_t id) {
    auto answer = std::make_shared<std::optional<absl::StatusOr<Revision>>>();
    lessor.Revoke(LeaseId{id}, Into<Revision>(answer));
    exec_->RunDeferred();
    return answer;
  }
  Answer<int64_t> KeepAlive(int64_t id) {
    auto answer = std::make_shared<std::optional<absl::StatusOr<int64_t>>>();
    lessor.KeepAlive(LeaseId{id}, Into<int64_t>(answer));
    exec_->RunDeferred();
    return answer;
  }
  Answer<Lessor::TimeToLiveResult> TimeToLive(int64_t id) {
    auto answer = std::make_shared<std::optional<absl::StatusOr<Lessor::TimeToLiveResult>>>();
    lessor.TimeToLive(LeaseId{id}, Lessor::WithKeys::kYes, Into<Lessor::TimeToLiveResult>(answer));
    exec_->RunDeferred();
    return answer;
  }
  std::vector<int64_t> Leases() {
    auto answer = std::make_shared<std::optional<absl::StatusOr<std::vector<LeaseId>>>>();
    lessor.Leases(Into<std::vector<LeaseId>>(answer));
    exec_->RunDeferred();
    std::vector<int64_t> ids;
    for (const LeaseId id : (*answer)->value()) ids.push_back(id.value());
    return ids;
  }
  void Put(const std::string& key, int64_t lease) {
    auto op = std::make_shared<revision::Op>();
    auto kept = std::make_shared<std::string>(key);
    op->v = revision::PutOp{.key = *kept, .value = "v", .lease = LeaseId{lease}};
    committer.Apply(op.get(), 100, [op, kept](const absl::StatusOr<revision::OpResult>& result) {
      EXPECT_TRUE(result.ok()) << result.status();
    });
    exec_->RunDeferred();
  }
  [[nodiscard]] bool Has(const std::string& key) const {
    return static_cast<bool>(store.Get(key, revision::Store::View::kCommitted));
  }
  [[nodiscard]] size_t count() const { return lessor.stats().leases; }

 private:
  static std::unique_ptr<jetstream::MemoryMessenger> MakeMessenger(FakeExecutor* exec,
                                                                   jetstream::MemoryPost* post) {
    if (post == nullptr) return nullptr;
    return std::make_unique<jetstream::MemoryMessenger>(exec, post);
  }
  static std::unique_ptr<revision::Peers> MakePeers(FakeExecutor* exec,
                                                    jetstream::MemoryMessenger* messenger,
                                                    const std::string& name) {
    if (messenger == nullptr) return nullptr;
    return std::make_unique<revision::Peers>(
        exec, messenger, revision::Peers::Member{std::hash<std::string>()(name), name, {}});
  }

  FakeExecutor* const exec_;

 public:
  jetstream::MemoryLog log;
  revision::Store store;
  std::unique_ptr<jetstream::MemoryMessenger> messenger;
  std::unique_ptr<revision::Peers> peers;
  revision::Committer committer;
  Lessor lessor;
};

}  // namespace jetd::lease

#endif  // JETD_LEASE_LESSOR_HARNESS_H_
