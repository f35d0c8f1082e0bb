// SPDX-License-Identifier: Apache-2.0
//
// For tests: a whole member without its network — memory log, store, committer — on a fake clock.
#ifndef JETD_REVISION_COMMITTER_HARNESS_H_
#define JETD_REVISION_COMMITTER_HARNESS_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fake_executor.h"
#include "jetstream/memory_log.h"
#include "jetstream/memory_messenger.h"
#include "jetstream/memory_stream.h"
#include "revision/committer.h"
#include "revision/peers.h"
#include "revision/store.h"
#include "revision/value_harness.h"

namespace jetd::revision {

// Collects what the committer tells its listeners.
class Recorder : public Committer::Listener {
 public:
  struct Commit {
    Revision revision;
    std::vector<std::string> keys;
  };
  void OnLeading(Term term) override { leading = term; }
  void OnFollowing(Term term) override { following = term; }
  void OnCommit(Revision revision, absl::Span<const Change> changes) override {
    Commit& commit = commits.emplace_back();
    commit.revision = revision;
    for (const Change& change : changes) commit.keys.emplace_back(change.kv->key());
  }
  void OnLeaseGranted(LeaseId id, int64_t /*ttl_s*/) override { granted.push_back(id); }
  void OnLeaseGone(LeaseId id) override { gone.push_back(id); }
  void OnCompacted(Revision revision) override { compacted = revision; }
  void OnHistoryLost() override { lost = true; }
  void OnStepDown(const absl::Status& why) override { step_down = why; }

  Term leading;
  Term following;
  std::vector<Commit> commits;
  std::vector<LeaseId> granted, gone;
  Revision compacted;
  bool lost = false;
  std::optional<absl::Status> step_down;
};

// One member on a stream that outlives it: destroying and making another is a restart.
class Member {
 public:
  // With `value_budget_bytes`, values beyond it are in files; in `folder` and with a checkpoint for
  // the next member there, if that is given. With `post` there may be others on it.
  Member(FakeExecutor* exec, jetstream::MemoryStream* stream, std::string name,
         jetstream::MemoryLog::Options options = {}, std::optional<size_t> value_budget_bytes = {},
         const std::string& folder = {}, std::optional<Quota::Options> quota = {},
         jetstream::MemoryPost* post = nullptr, std::optional<size_t> max_held_bytes = {})
      : exec_(exec), log(exec, stream, std::move(options)) {
    if (post != nullptr) {
      messenger.emplace(exec, post);
      peers.emplace(exec, &*messenger, Peers::Member{std::hash<std::string>()(name), name, {}});
    }
    if (value_budget_bytes.has_value()) {
      UseTinyValueFiles(&store, folder.empty() ? folder_.emplace().path() : folder,
                        *value_budget_bytes, /*keep=*/!folder.empty());
    }
    Committer::Options committer_options;
    committer_options.member_id = std::hash<std::string>()(name);
    committer_options.member_name = name;
    static int incarnations = 0;
    committer_options.incarnation =
        post == nullptr ? name + "-incarnation" : name + std::to_string(++incarnations);
    if (!folder.empty()) committer_options.checkpoint_path = folder + "/checkpoint";
    committer_options.quota = quota;
    committer_options.min_markers_for_list = 4;
    committer_options.survey_step = 3;
    committer_options.mirror_audit.interval = std::chrono::minutes(10);
    committer_options.max_live_per_record = 2;
    if (max_held_bytes.has_value()) committer_options.max_held_bytes = *max_held_bytes;
    committer_options.peers = peers ? &*peers : nullptr;
    if (value_budget_bytes.has_value()) {
      committer_options.make_store = [this, budget = *value_budget_bytes] {
        auto another = std::make_unique<Store>();
        UseTinyValueFiles(another.get(), folder_of_another_.emplace().path(), budget);
        return another;
      };
    }
    committer.emplace(exec, &log, &store, committer_options);
    committer->AddListener(&recorder);
    committer->Start([this](const absl::Status& why) { fatal = why; });
    exec_->RunDeferred();
  }
  ~Member() {
    committer->Stop();
    exec_->RunDeferred();
    committer.reset();
    exec_->RunDeferred();
  }
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  // An answer that may not be there yet.
  template <typename T>
  struct Pending {
    std::optional<absl::StatusOr<T>> answer;
    Op op;
    std::string key, value;
  };
  using PendingOp = std::shared_ptr<Pending<OpResult>>;

  PendingOp Put(std::string key, std::string value, LeaseId lease = {}) {
    auto pending = std::make_shared<Pending<OpResult>>();
    pending->key = std::move(key);
    pending->value = std::move(value);
    pending->op.v = PutOp{.key = pending->key, .value = pending->value, .lease = lease};
    return Send(std::move(pending));
  }
  PendingOp Delete(std::string key, std::string end = {}) {
    auto pending = std::make_shared<Pending<OpResult>>();
    pending->key = std::move(key);
    pending->value = std::move(end);
    pending->op.v = DeleteOp{.keys = {pending->key, pending->value}};
    return Send(std::move(pending));
  }
  // if mod_revision(key) == revision then put(key, value) else get(key)
  PendingOp Update(std::string key, Revision revision, std::string value) {
    auto pending = std::make_shared<Pending<OpResult>>();
    pending->key = std::move(key);
    pending->value = std::move(value);
    TxnOp txn;
    txn.compares.push_back(
        {.target = Compare::Target::kMod, .keys = {pending->key, {}}, .number = revision.value()});
    txn.success.push_back({PutOp{.key = pending->key, .value = pending->value}});
    txn.failure.push_back({RangeOp{.keys = {pending->key, {}}}});
    pending->op.v = std::move(txn);
    return Send(std::move(pending));
  }
  // Puts `value` at key/0 … key/n-1 in one transaction.
  PendingOp PutMany(std::string key, int n, std::string value) {
    auto pending = std::make_shared<Pending<OpResult>>();
    pending->value = std::move(value);
    many_.push_back({});
    TxnOp txn;
    for (int i = 0; i < n; ++i) {
      many_.back().push_back(std::make_unique<std::string>(key + "/" + std::to_string(i)));
      txn.success.push_back({PutOp{.key = *many_.back().back(), .value = pending->value}});
    }
    pending->op.v = std::move(txn);
    return Send(std::move(pending));
  }
  PendingOp Send(PendingOp pending) {
    committer->Apply(&pending->op, 100, [pending](absl::StatusOr<OpResult> result) {
      EXPECT_FALSE(pending->answer.has_value()) << "answered twice";
      pending->answer = std::move(result);
    });
    return pending;
  }

  // A linearizable read; runs the executor until it is answered or nothing moves.
  std::optional<absl::StatusOr<RangeResult>> Range(RangeOp op) {
    auto answer = std::make_shared<std::optional<absl::StatusOr<RangeResult>>>();
    auto kept = std::make_shared<RangeOp>(op);
    committer->Range(kept.get(), [answer, kept](absl::StatusOr<RangeResult> r) { *answer = r; });
    exec_->RunDeferred();
    exec_->Advance(std::chrono::milliseconds(1));
    return *answer;
  }
  // Value of a key, "" if it is not there; CHECK-fails the test if there is no answer.
  std::string Get(std::string_view key) {
    auto answer = Range({.keys = {key, {}}});
    if (!answer || !answer->ok()) {
      ADD_FAILURE() << "no answer to get";
      return {};
    }
    return (*answer)->kvs.empty() ? std::string() : std::string((*answer)->kvs[0]->value());
  }

 private:
  FakeExecutor* const exec_;
  std::vector<std::vector<std::unique_ptr<std::string>>> many_;
  std::optional<ScratchFolder> folder_;  // outlives the store
  std::optional<ScratchFolder> folder_of_another_;

 public:
  jetstream::MemoryLog log;
  Store store;
  Recorder recorder;
  std::optional<jetstream::MemoryMessenger> messenger;
  std::optional<Peers> peers;
  std::optional<Committer> committer;
  std::optional<absl::Status> fatal;
};

inline Revision RevisionOf(const Member::PendingOp& op) {
  const OpResult& result = **op->answer;
  return std::visit([](const auto& r) { return r.revision; }, result.v);
}

}  // namespace jetd::revision

#endif  // JETD_REVISION_COMMITTER_HARNESS_H_
