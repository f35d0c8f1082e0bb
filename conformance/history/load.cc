// SPDX-License-Identifier: Apache-2.0
#include "conformance/history/load.h"

#include <algorithm>
#include <random>
#include <utility>

#include "base/check.h"
#include "base/strings.h"
#include "conformance/history/codec.h"
#include "conformance/history/model.h"
#include "conformance/history/planner.h"
#include "conformance/server_faults.h"

namespace jetd::conformance::history {
namespace {

using std::chrono::milliseconds;

// How often is looked whether a client's pause is over.
constexpr milliseconds kTick{5};
constexpr size_t kMaxStrangeErrors = 20;

}  // namespace

int64_t SteadyNowNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// One client: begins on one thread, is answered on its connection's, goes on there or, after an
// error, on the ticking one.
class Load::Worker {
 public:
  Worker(Load* load, uint32_t number, uint64_t seed, etcdclient::Client* connection)
      : load_(load), connection_(connection), planner_(load->keys_, number, seed), random_(seed) {
    operation_.client = number;
  }

  void Begin() {
    MutexLock lock(mutex_);
    Next();
  }

  [[nodiscard]] std::vector<Operation> Take() {
    MutexLock lock(mutex_);
    return std::exchange(done_, {});
  }

 private:
  void Next() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!load_->TakeOne()) {
      --load_->under_way_;
      return;
    }
    const uint32_t client = operation_.client;
    operation_ = {};
    operation_.client = client;
    operation_.number = planner_.planned();
    operation_.request = planner_.Next();
    // Some give up before a frozen server goes on, some after.
    const uint64_t patience = random_() % 10;
    options_.timeout =
        patience == 0 ? milliseconds(300) : milliseconds(patience < 7 ? 2'000 : 8'000);
    Send();
  }

  void Send() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const Request& request = operation_.request;
    const Action& first = request.success[0];
    if (request.txn) {
      Call(ToTxn(*load_->keys_, request));
    } else if (first.kind == Action::Kind::kGet) {
      Call(ToRange(*load_->keys_, request, first));
    } else if (first.kind == Action::Kind::kPut) {
      Call(ToPut(*load_->keys_, first));
    } else {
      Call(ToDelete(*load_->keys_, first));
    }
  }

  template <typename Message>
  void Call(const Message& message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    operation_.call_ns = SteadyNowNs();
    connection_->CallAsync<Message>(
        message, [this](const auto& response) { this->OnAnswer(response); }, options_);
  }

  template <typename Response>
  void OnAnswer(const absl::StatusOr<Response>& response) {
    const int64_t now_ns = SteadyNowNs();
    MutexLock lock(mutex_);
    operation_.return_ns = now_ns;
    if (response.ok()) {
      operation_.fate = Fate::kAnswered;
      TakeAnswer(*load_->keys_, *response, operation_);
      planner_.Learn(operation_);
    } else {
      const absl::Status& status = response.status();
      // What cannot change anything has no fate to know.
      operation_.fate =
          IsRefusal(status) || !CanChange(operation_.request) ? Fate::kRefused : Fate::kUnknown;
      operation_.error = std::string(MessageOf(status));
      load_->NoteError(operation_, status);
    }
    const bool answered = response.ok();
    done_.push_back(std::move(operation_));
    operation_.client = done_.back().client;
    ++load_->ended_;
    if (answered) {
      Next();
    } else {
      load_->PutOff(this);
    }
  }

  Load* const load_;
  etcdclient::Client* const connection_;
  Mutex mutex_;
  Planner planner_ ABSL_GUARDED_BY(mutex_);
  std::mt19937_64 random_ ABSL_GUARDED_BY(mutex_);
  etcdclient::CallOptions options_ ABSL_GUARDED_BY(mutex_){
      .unreachable = etcdclient::CallOptions::Unreachable::kWait};
  Operation operation_ ABSL_GUARDED_BY(mutex_);
  std::vector<Operation> done_ ABSL_GUARDED_BY(mutex_);
};

Load::Load(const Options& options, const KeySpace* keys) : keys_(keys), pause_(options.pause) {
  const size_t connections = std::max(options.connections, options.endpoints.size());
  for (size_t i = 0; i < connections; ++i) {
    auto connection =
        etcdclient::Client::Connect({.endpoint = options.endpoints[i % options.endpoints.size()]});
    JETD_CHECK(connection.ok()) << connection.status();
    connections_.push_back(*std::move(connection));
  }
  for (size_t i = 0; i < options.clients; ++i) {
    workers_.push_back(std::make_unique<Worker>(this, static_cast<uint32_t>(i),
                                                options.seed * 1'000'003 + i,
                                                connections_[i % connections].get()));
  }
  ticker_ = std::thread([this] { RunTicker(); });
}

// The threads that call workers end before the workers.
Load::~Load() {
  Stop();
  {
    MutexLock lock(mutex_);
    closing_ = true;
    close_.NotifyAll();
  }
  ticker_.join();
  connections_.clear();
}

void Load::RunTicker() {
  while (true) {
    {
      MutexLock lock(mutex_);
      (void)close_.WaitUntil(mutex_, std::chrono::steady_clock::now() + kTick);
      if (closing_) return;
    }
    Tick();
  }
}

void Load::Start(size_t operations) {
  ended_ = 0;
  left_ = static_cast<int64_t>(operations);
  under_way_ = workers_.size();
  for (const auto& worker : workers_) worker->Begin();
}

bool Load::TakeOne() { return left_.fetch_sub(1) > 0; }

void Load::PutOff(Worker* worker) {
  MutexLock lock(mutex_);
  put_off_.emplace(SteadyNowNs() + std::chrono::nanoseconds(pause_).count(), worker);
}

void Load::Tick() {
  std::vector<Worker*> due;
  {
    MutexLock lock(mutex_);
    const int64_t now = SteadyNowNs();
    while (!put_off_.empty() && put_off_.begin()->first <= now) {
      due.push_back(put_off_.begin()->second);
      put_off_.erase(put_off_.begin());
    }
  }
  for (Worker* worker : due) worker->Begin();
}

void Load::NoteError(const Operation& operation, const absl::Status& status) {
  MutexLock lock(mutex_);
  ++errors_[operation.error];
  const bool past_is_gone =
      status.code() == absl::StatusCode::kOutOfRange && operation.request.at_revision != 0;
  const bool explained = status.code() == absl::StatusCode::kUnavailable ||
                         status.code() == absl::StatusCode::kDeadlineExceeded ||
                         status.code() == absl::StatusCode::kCancelled || past_is_gone ||
                         IsRefusal(status);
  if (!explained && strange_errors_.size() < kMaxStrangeErrors) {
    strange_errors_.push_back(Text(operation));
  }
}

std::vector<Operation> Load::Take() {
  std::vector<Operation> all;
  for (const auto& worker : workers_) {
    for (Operation& operation : worker->Take()) all.push_back(std::move(operation));
  }
  return all;
}

std::map<std::string, size_t> Load::errors() const {
  MutexLock lock(mutex_);
  return errors_;
}

std::vector<std::string> Load::strange_errors() const {
  MutexLock lock(mutex_);
  return strange_errors_;
}

}  // namespace jetd::conformance::history
