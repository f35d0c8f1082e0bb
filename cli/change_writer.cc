// SPDX-License-Identifier: Apache-2.0
#include "cli/change_writer.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <thread>
#include <utility>

#include "base/mutex.h"
#include "base/strings.h"

namespace jetd::cli {
namespace {

using etcdclient::CallOptions;
using replication::KeyChange;
namespace pb = etcdclient::pb;

// A key that changes faster than it can be written.
constexpr int kMaxAttempts = 100;
// A server that is away.
constexpr int kMaxFailures = 60;
constexpr std::chrono::milliseconds kFailurePause{500};
constexpr char kLeaseGone[] = "requested lease not found";

class Writing {
 public:
  Writing(etcdclient::Client* client, const std::vector<KeyChange>& changes,
          const ChangeOptions& options, ChangeTally* tally)
      : client_(client), changes_(changes), options_(options), tally_(tally) {}

  absl::Status Run() {
    while (under_way_ > 0 || next_ < changes_.size()) {
      if (end_.ok() && options_.interrupted != nullptr && options_.interrupted->load()) {
        end_ = absl::CancelledError("interrupted");
      }
      // What is under way is waited for, whatever happens: it may land.
      if (!end_.ok() && under_way_ == 0) return end_;
      if (end_.ok() && next_ < changes_.size() && under_way_ < options_.in_flight) {
        Change change{.index = next_++};
        change.now = changes_[change.index].now;
        change.lease = changes_[change.index].lease;
        Send(change);
        continue;
      }
      TakeAnswer();
    }
    return end_;
  }

 private:
  struct Change {
    size_t index = 0;
    Revision now;  // what it is guarded by
    LeaseId lease;
    int attempts = 0, failures = 0;
  };
  struct Answer {
    Change change;
    absl::StatusOr<pb::TxnResponse> response;
    std::chrono::steady_clock::time_point when;
  };

  void Send(const Change& change) {
    const KeyChange& wanted = changes_[change.index];
    pb::TxnRequest txn;
    pb::Compare* const guard = txn.add_compare();
    guard->set_key(wanted.key);
    guard->set_target(pb::Compare::MOD);
    guard->set_result(pb::Compare::EQUAL);
    guard->set_mod_revision(change.now.value());
    if (wanted.wanted) {
      pb::PutRequest* const put = txn.add_success()->mutable_request_put();
      put->set_key(wanted.key);
      put->set_value(std::string(wanted.wanted->value()));
      put->set_lease(change.lease.value());
    } else {
      txn.add_success()->mutable_request_delete_range()->set_key(wanted.key);
    }
    txn.add_failure()->mutable_request_range()->set_key(wanted.key);
    ++under_way_;
    client_->CallAsync<pb::TxnRequest>(
        txn,
        [this, change](absl::StatusOr<pb::TxnResponse> response) {
          MutexLock lock(mutex_);
          answers_.push_back({change, std::move(response), std::chrono::steady_clock::now()});
          changed_.NotifyOne();
        },
        {.timeout = std::chrono::seconds(15), .unreachable = CallOptions::Unreachable::kWait});
  }

  void TakeAnswer() {
    Answer answer = Pop();
    --under_way_;
    if (!answer.response.ok()) return OnFailure(answer);
    tally_->trouble.clear();
    const pb::TxnResponse& response = *answer.response;
    if (const uint64_t who = response.header().cluster_id();
        who != options_.cluster_id && who != 0 && options_.cluster_id != 0) {
      return Fail(MakeStatus(absl::StatusCode::kFailedPrecondition,
                             "another store answers by now (cluster id ", who, ", not ",
                             options_.cluster_id, ")"));
    }
    if (response.succeeded()) {
      ++tally_->written;
      tally_->newest = std::max(tally_->newest, Revision(response.header().revision()));
      if (changes_[answer.change.index].wanted && answer.change.lease == LeaseId{} &&
          changes_[answer.change.index].lease != LeaseId{}) {
        ++tally_->unleased;
      }
    } else if (!OnChanged(answer.change, response)) {
      return;
    }
    if (options_.progress) options_.progress(*tally_);
  }

  Answer Pop() {
    MutexLock lock(mutex_);
    while (answers_.empty()) changed_.Wait(mutex_);
    Answer answer = std::move(answers_.front());
    answers_.pop_front();
    return answer;
  }

  // Somebody has changed it. True: into what it should be.
  bool OnChanged(Change change, const pb::TxnResponse& response) {
    const KeyChange& wanted = changes_[change.index];
    const mvccpb::KeyValue* now = nullptr;
    if (response.responses_size() > 0 && response.responses(0).response_range().kvs_size() > 0) {
      now = &response.responses(0).response_range().kvs(0);
    }
    const bool same = wanted.wanted ? now != nullptr && now->value() == wanted.wanted->value() &&
                                          now->lease() == change.lease.value()
                                    : now == nullptr;
    if (same) {
      ++tally_->found;
      return true;
    }
    ++tally_->again;
    change.now = Revision(now == nullptr ? 0 : now->mod_revision());
    if (++change.attempts > kMaxAttempts) {
      Fail(MakeStatus(absl::StatusCode::kAborted, "key ", wanted.key,
                      " is changed by others all the time"));
    } else if (end_.ok()) {
      Send(change);
    }
    return false;
  }

  // It may have happened: then the guard does not hold any more, and the key is as wanted.
  void OnFailure(const Answer& answer) {
    Change change = answer.change;
    const absl::Status& why = answer.response.status();
    if (!end_.ok()) return;
    if (absl::IsNotFound(why) && MessageOf(why).find(kLeaseGone) != std::string_view::npos) {
      change.lease = LeaseId{};
      return Send(change);
    }
    const bool passes = absl::IsUnavailable(why) || absl::IsDeadlineExceeded(why);
    if (!passes || ++change.failures > kMaxFailures) return Fail(why);
    tally_->trouble = std::string(MessageOf(why));
    if (options_.progress) options_.progress(*tally_);
    // What failed before the last pause ended was paused for.
    if (answer.when > paused_) Pause();
    Send(change);
  }

  void Pause() {
    if (options_.pause) {
      options_.pause();
    } else {
      std::this_thread::sleep_for(kFailurePause);
    }
    paused_ = std::chrono::steady_clock::now();
  }

  void Fail(const absl::Status& why) {
    if (end_.ok()) end_ = why;
  }

  etcdclient::Client* const client_;
  const std::vector<KeyChange>& changes_;
  const ChangeOptions& options_;
  ChangeTally* const tally_;
  size_t next_ = 0, under_way_ = 0;
  absl::Status end_;
  std::chrono::steady_clock::time_point paused_;  // until when

  Mutex mutex_;
  CondVar changed_;
  std::deque<Answer> answers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::Status WriteChanges(etcdclient::Client* client, const std::vector<KeyChange>& changes,
                          const ChangeOptions& options, ChangeTally* tally) {
  return Writing(client, changes, options, tally).Run();
}

}  // namespace jetd::cli
