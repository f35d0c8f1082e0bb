// SPDX-License-Identifier: Apache-2.0
#include "conformance/bounds/bounds_run.h"

#include <algorithm>
#include <atomic>
#include <fstream>
#include <memory>
#include <set>
#include <thread>
#include <utility>

#include "base/limits.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "conformance/range_end.h"
#include "conformance/server_faults.h"

namespace jetd::conformance {
namespace {

using etcdclient::Client;
using etcdclient::ServerProcess;
using etcdclient::WatchStream;
using std::chrono::seconds;
namespace pb = etcdclient::pb;

constexpr char kPrefix[] = "/bounds/";
constexpr int kConnections = 16;
constexpr size_t kBurstValueBytes = 1024;
constexpr size_t kValueBytes = 16UL << 10;
// Short of the 5 s after which nobody waits for a silent nats-server any more.
constexpr seconds kFrozen{4};
// Of puts that cannot be written: those waiting, and those that jetd has evaluated.
constexpr int kMayWait = static_cast<int>(limits::kMaxQueuedRequests + limits::kMaxPendingTxns);
constexpr int kInFlight = 64;
constexpr std::chrono::milliseconds kLook{5};

// A line of /proc/PID/status in bytes: "VmHWM:    1234 kB".
size_t MemoryOf(pid_t pid, const std::string& name) {
  std::ifstream in(Cat("/proc/", pid, "/status"));
  for (std::string word; in >> word;) {
    size_t kib = 0;
    if (word == name && in >> kib) return kib << 10U;
  }
  return 0;
}

// The most that a process holds of its own while this lives. Pages of files that it has mapped are
// the kernel's, which takes them back where there is need.
class OwnMemoryPeak {
 public:
  explicit OwnMemoryPeak(pid_t pid) : pid_(pid), thread_([this] { Look(); }) {}
  ~OwnMemoryPeak() {
    over_ = true;
    thread_.join();
  }
  OwnMemoryPeak(const OwnMemoryPeak&) = delete;
  OwnMemoryPeak& operator=(const OwnMemoryPeak&) = delete;

  [[nodiscard]] size_t bytes() const { return most_; }

 private:
  void Look() {
    while (!over_) {
      most_ = std::max(most_.load(), MemoryOf(pid_, "RssAnon:"));
      std::this_thread::sleep_for(kLook);
    }
  }

  const pid_t pid_;
  std::atomic<bool> over_{false};
  std::atomic<size_t> most_{0};
  std::thread thread_;
};

pb::PutRequest Put(const std::string& key, size_t value_bytes) {
  pb::PutRequest put;
  put.set_key(key);
  put.set_value(std::string(value_bytes, 'x'));
  return put;
}

// Calls that are answered on clients' threads.
class Answers {
 public:
  void Begin() {
    MutexLock lock(mutex_);
    ++open_;
  }
  void End() {
    MutexLock lock(mutex_);
    --open_;
    changed_.NotifyAll();
  }
  // False: some are open after `patience`.
  bool WaitUntil(int at_most, std::chrono::nanoseconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    MutexLock lock(mutex_);
    while (open_ > at_most) {
      if (!changed_.WaitUntil(mutex_, deadline) && open_ > at_most) return false;
    }
    return true;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int open_ ABSL_GUARDED_BY(mutex_) = 0;
};

class Run {
 public:
  explicit Run(const BoundsOptions& options) : options_(options) {}

  absl::StatusOr<BoundsReport> Do() {
    auto server = ServerProcess::Start(options_.server);
    if (!server.ok()) return server.status();
    server_ = *std::move(server);
    if (absl::Status ready = server_->WaitReady(options_.patience); !ready.ok()) return ready;
    for (int i = 0; i < kConnections; ++i) {
      auto client = server_->Connect();
      if (!client.ok()) return client.status();
      clients_.push_back(*std::move(client));
    }
    report_.before_bytes = MemoryOf(server_->pid(), "RssAnon:");
    const OwnMemoryPeak own(server_->pid());
    absl::Status done;
    switch (options_.scenario) {
      case BoundsOptions::Scenario::kBurst:
        done = Burst();
        break;
      case BoundsOptions::Scenario::kSlow:
        done = Slow();
        break;
      case BoundsOptions::Scenario::kKeys:
        done = Keys();
        break;
    }
    if (!done.ok()) return done;
    report_.peak_bytes = own.bytes();
    report_.mapped_bytes = MemoryOf(server_->pid(), "VmHWM:");
    streams_.clear();
    watchers_.clear();
    clients_.clear();
    if (absl::Status ended = server_->Stop(options_.patience); !ended.ok()) return ended;
    return report_;
  }

 private:
  std::string Key(int i) const { return Cat(kPrefix, 1'000'000 + i); }
  Client* client(int i) const { return clients_[static_cast<size_t>(i) % clients_.size()].get(); }

  absl::Status Burst() {
    ServerFaults faults(server_.get(), 1, options_.patience);
    if (absl::Status frozen = faults.SuspendNats(); !frozen.ok()) return frozen;
    const auto thaw = std::chrono::steady_clock::now() + kFrozen;
    const etcdclient::CallOptions patient{.timeout = options_.patience};
    for (int i = 0; i < options_.count; ++i) {
      answers_.Begin();
      client(i)->CallAsync<pb::PutRequest>(
          Put(Key(i), kBurstValueBytes),
          [this, i](const absl::StatusOr<pb::PutResponse>& put) { OnPut(i, put.status()); },
          patient);
    }
    // Those that have no room are answered. A server that waits too long gives all of them up.
    (void)answers_.WaitUntil(kMayWait, thaw - std::chrono::steady_clock::now());
    faults.ResumeNats();
    // Reads wait for nothing here but their turn, or for the store if it is away.
    pb::RangeRequest read;
    read.set_key(Key(0));
    for (int i = 0; i < options_.count; ++i) {
      answers_.Begin();
      client(i)->CallAsync<pb::RangeRequest>(
          read, [this](const absl::StatusOr<pb::RangeResponse>& range) { OnRead(range.status()); },
          patient);
    }
    if (!answers_.WaitUntil(0, options_.patience)) Violated("some calls were never answered");
    JudgeRefusals();
    if (absl::Status ready = server_->WaitReady(options_.patience); !ready.ok()) return ready;
    return CompareKeys();
  }

  // On a machine so slow that the server gave up before its queue was full nothing was shown.
  void JudgeRefusals() {
    MutexLock lock(mutex_);
    if (report_.refused > 0 || report_.unsure > 0 || given_up_ > 0) return;
    report_.violations.push_back(
        Cat("none of ", options_.count, " puts was refused, where ", kMayWait, " may wait"));
  }

  void OnPut(int i, const absl::Status& status) {
    {
      MutexLock lock(mutex_);
      if (status.ok()) {
        taken_.insert(Key(i));
      } else if (IsRefusal(status)) {
        refused_.insert(Key(i));
        ++(MessageOf(status) == "etcdserver: too many requests" ? report_.refused : given_up_);
      } else if (absl::IsUnavailable(status)) {
        ++report_.unsure;
      } else {
        report_.violations.push_back(Cat("a put: ", MessageOf(status)));
      }
    }
    answers_.End();
  }
  void OnRead(const absl::Status& status) {
    if (!status.ok() && !absl::IsUnavailable(status) && !absl::IsResourceExhausted(status)) {
      Violated(Cat("a read: ", MessageOf(status)));
    }
    answers_.End();
  }
  void Violated(const std::string& what) {
    MutexLock lock(mutex_);
    if (report_.violations.size() < 20) report_.violations.push_back(what);
  }

  // What there is: all that was taken, nothing that was refused.
  absl::Status CompareKeys() {
    std::set<std::string> there;
    absl::Status read = ReadPages([&](const std::string& key) { there.insert(key); });
    MutexLock lock(mutex_);
    report_.taken = taken_.size();
    for (const std::string& key : taken_) {
      if (!there.contains(key)) report_.violations.push_back(Cat(key, " is lost"));
    }
    for (const std::string& key : refused_) {
      if (there.contains(key)) report_.violations.push_back(Cat(key, " was refused and is there"));
    }
    return read;
  }

  template <typename Fn>
  absl::Status ReadPages(const Fn& fn) {
    pb::RangeRequest page;
    page.set_key(kPrefix);
    page.set_range_end(PrefixEnd(kPrefix));
    page.set_limit(500);
    while (true) {
      const auto answer = clients_.front()->Call(page, {.timeout = options_.patience});
      if (!answer.ok()) return answer.status();
      for (const auto& kv : answer->kvs()) fn(kv.key());
      if (!answer->more()) return absl::OkStatus();
      page.set_key(answer->kvs(answer->kvs_size() - 1).key() + std::string(1, '\0'));
      page.set_revision(answer->header().revision());
    }
  }

  // Values of 16 KiB, so many megabytes together.
  void Write(int megabytes) {
    const int writes = megabytes * 1024 / static_cast<int>(kValueBytes >> 10U);
    for (int i = 0; i < writes; ++i) {
      if (!answers_.WaitUntil(kInFlight, options_.patience)) break;
      answers_.Begin();
      client(i)->CallAsync<pb::PutRequest>(Put(Key(i), kValueBytes),
                                           [this, i](const absl::StatusOr<pb::PutResponse>& put) {
                                             if (!put.ok())
                                               Violated(Cat("a put: ", MessageOf(put.status())));
                                             OnPut(i, put.status());
                                           },
                                           {.timeout = options_.patience});
    }
    if (!answers_.WaitUntil(0, options_.patience)) Violated("some puts were never answered");
  }

  absl::Status Slow() {
    for (int i = 0; i < options_.count; ++i) {
      // A connection each: what one client leaves unread is its own.
      auto connected = server_->Connect();
      if (!connected.ok()) return connected.status();
      watchers_.push_back(*std::move(connected));
      streams_.push_back(watchers_.back()->OpenWatch());
      pb::WatchRequest request;
      request.mutable_create_request()->set_key(kPrefix);
      request.mutable_create_request()->set_range_end(PrefixEnd(kPrefix));
      streams_.back()->Send(std::move(request));
      const auto created = streams_.back()->Next(options_.patience);
      if (!created.ok()) return created.status();
    }
    Write(options_.megabytes);
    // The first and the last read after all: each event once, in order.
    for (WatchStream* stream : {streams_.front().get(), streams_.back().get()}) CheckEvents(stream);
    report_.taken = taken_.size();
    return absl::OkStatus();
  }

  void CheckEvents(WatchStream* stream) {
    size_t seen = 0;
    int64_t before = 0;
    while (seen < taken_.size()) {
      const auto response = stream->Next(options_.patience);
      if (!response.ok() || response->canceled()) {
        Violated(Cat("a slow watch ended after ", seen, " of ", taken_.size(), " events"));
        return;
      }
      for (const auto& event : response->events()) {
        if (event.kv().mod_revision() <= before) Violated("a slow watch saw an event twice");
        before = event.kv().mod_revision();
        ++seen;
      }
    }
  }

  absl::Status Keys() {
    Write(options_.megabytes);
    return CompareKeys();
  }

  const BoundsOptions options_;
  BoundsReport report_;
  std::unique_ptr<ServerProcess> server_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::unique_ptr<Client>> watchers_;
  std::vector<std::unique_ptr<WatchStream>> streams_;
  Answers answers_;
  Mutex mutex_;
  std::set<std::string> taken_, refused_;
  size_t given_up_ = 0;  // puts, for want of a nats-server
};

}  // namespace

absl::StatusOr<BoundsReport> RunBounds(const BoundsOptions& options) { return Run(options).Do(); }

}  // namespace jetd::conformance
