// SPDX-License-Identifier: Apache-2.0
#include "conformance/faults/outage_probe.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/mutex.h"
#include "base/strings.h"
#include "conformance/disarm.h"
#include "etcdclient/client.h"

namespace jetd::conformance {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
namespace pb = etcdclient::pb;

// Longer than anything that is judged here.
constexpr milliseconds kLong{60'000};
constexpr milliseconds kShort{1'000};
constexpr milliseconds kPoll{20};
// A pause of a poll that takes so long is one of the machine, and nobody could answer in it.
constexpr milliseconds kStoodStill{500};
constexpr int64_t kTtlSeconds = 3'600;
// After a loss jetd hopes for so long that nobody need open streams again, and says then that there
// is no leader.
constexpr milliseconds kHope{3'000};
// grpc.health.v1.HealthCheckResponse with status NOT_SERVING.
constexpr std::string_view kNotServing("\x08\x02", 2);

size_t SizeOf(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : size;
}

}  // namespace

// Calls under way and their ends. Any thread.
class OutageProbe::Calls {
 public:
  struct Call {
    std::string name;
    steady_clock::time_point sent;
    steady_clock::time_point ended;
    std::optional<absl::Status> status;  // none: under way
  };

  explicit Calls(const std::string& endpoint) {
    auto client = etcdclient::Client::Connect({.endpoint = endpoint});
    if (client.ok()) client_ = *std::move(client);
  }
  ~Calls() { client_ = nullptr; }
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;

  [[nodiscard]] etcdclient::Client* client() const { return client_.get(); }

  template <typename Request>
  size_t Begin(std::string name, const Request& request, milliseconds timeout) {
    size_t number = 0;
    {
      MutexLock lock(mutex_);
      number = calls_.size();
      calls_.push_back({std::move(name), steady_clock::now(), {}, {}});
    }
    client_->CallAsync<Request>(request,
                                [this, number](const auto& response) {
                                  MutexLock lock(mutex_);
                                  calls_[number].status = response.status();
                                  calls_[number].ended = steady_clock::now();
                                },
                                {.timeout = timeout});
    return number;
  }
  void BeginBoth(const std::string& when, milliseconds timeout) {
    pb::LeaseGrantRequest write;
    write.set_ttl(kTtlSeconds);
    Begin(Cat("a write ", when), write, timeout);
    pb::RangeRequest read;
    read.set_key("/faults/probe");
    Begin(Cat("a read ", when), read, timeout);
  }

  [[nodiscard]] std::vector<Call> Now() const {
    MutexLock lock(mutex_);
    return calls_;
  }
  [[nodiscard]] bool AllEnded() const {
    MutexLock lock(mutex_);
    return std::all_of(calls_.begin(), calls_.end(),
                       [](const Call& call) { return call.status.has_value(); });
  }
  void WaitUntil(steady_clock::time_point when) const {
    for (auto looked = steady_clock::now(); !AllEnded() && looked < when;) {
      std::this_thread::sleep_for(kPoll);
      const auto now = steady_clock::now();
      if (now - looked > kStoodStill) when += now - looked;
      looked = now;
    }
  }

 private:
  mutable Mutex mutex_;
  std::vector<Call> calls_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<etcdclient::Client> client_;
};

void OutageProbe::Watch(milliseconds time) {
  const auto start = steady_clock::now();
  const auto end = start + time;
  const milliseconds needed = limits::kUnavailableAfter + kHope + 2 * options_.slack;
  if (time < needed) {
    std::this_thread::sleep_until(end);
    return;
  }
  ++counts_.outages;
  const size_t log_bytes = SizeOf(options_.log_path);
  Calls first(options_.endpoint);
  first.BeginBoth("from the start of an outage on", kLong);
  first.BeginBoth("with a deadline of a second", kShort);
  first.WaitUntil(start + limits::kUnavailableAfter + options_.slack);
  CheckFirst(first, start, end);
  CheckLog(log_bytes);
  Calls later(options_.endpoint);
  later.BeginBoth("after that", kLong);
  later.WaitUntil(steady_clock::now() + options_.slack);
  CheckLater(later);
  CheckHealth(steady_clock::now() + kHope + options_.slack);
  std::this_thread::sleep_until(end);
}

void OutageProbe::CheckFirst(Calls& calls, steady_clock::time_point start,
                             steady_clock::time_point end) {
  for (const Calls::Call& call : calls.Now()) {
    ++counts_.calls;
    if (!call.status.has_value()) {
      violations_.Add("slow answer",
                      Cat(call.name, " has no answer after ",
                          duration_cast<milliseconds>(steady_clock::now() - start).count(), " ms"));
      continue;
    }
    const auto took = duration_cast<milliseconds>(call.ended - call.sent);
    counts_.slowest_first = std::max(counts_.slowest_first, took);
    const absl::StatusCode code = call.status->code();
    if (call.status->ok() && call.ended < end) {
      violations_.Add("answered without NATS",
                      Cat(call.name, " was answered OK after ", took.count(), " ms"));
    } else if (code != absl::StatusCode::kUnavailable &&
               code != absl::StatusCode::kDeadlineExceeded) {
      violations_.Add("strange error", Cat(call.name, ": ", MessageOf(*call.status)));
    }
  }
}

void OutageProbe::CheckLater(Calls& calls) {
  for (const Calls::Call& call : calls.Now()) {
    ++counts_.calls;
    if (!call.status.has_value()) {
      violations_.Add("slow answer", Cat(call.name, " is not answered at once"));
      continue;
    }
    counts_.slowest_later =
        std::max(counts_.slowest_later, duration_cast<milliseconds>(call.ended - call.sent));
    if (call.status->code() != absl::StatusCode::kUnavailable) {
      violations_.Add(call.status->ok() ? "answered without NATS" : "strange error",
                      Cat(call.name, ": ", MessageOf(*call.status)));
    }
  }
}

void OutageProbe::CheckHealth(steady_clock::time_point deadline) {
  const Calls calls(options_.endpoint);
  for (auto looked = steady_clock::now();;) {
    const auto now = steady_clock::now();
    if (now - looked > options_.slack + kStoodStill) deadline += now - looked;
    looked = now;
    const auto health =
        calls.client()->CallBytes("/grpc.health.v1.Health/Check", "", {.timeout = options_.slack});
    if (health.ok() && *health == kNotServing) return;
    if (now > deadline) {
      violations_.Add("health", health.ok() ? "it says SERVING while NATS is out of reach"
                                            : std::string(MessageOf(health.status())));
      return;
    }
    std::this_thread::sleep_for(kPoll);
  }
}

void OutageProbe::CheckLog(size_t from_byte) {
  std::ifstream in(options_.log_path, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(from_byte));
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (text.find("waiting for") == std::string::npos) {
    violations_.Add("log", Cat("it does not say what is waited for: ", text.substr(0, 500)));
  }
}

void OutageProbe::AwaitRecovery(milliseconds patience) {
  const auto start = steady_clock::now();
  absl::Status last;
  while (steady_clock::now() < start + patience) {
    Calls calls(options_.endpoint);
    calls.BeginBoth("", patience);
    calls.WaitUntil(start + patience);
    bool good = true;
    for (const Calls::Call& call : calls.Now()) {
      if (call.status.has_value() && call.status->ok()) continue;
      good = false;
      last = call.status.value_or(absl::DeadlineExceededError("no answer"));
    }
    if (good) {
      ++counts_.recoveries;
      counts_.slowest_recovery = std::max(counts_.slowest_recovery,
                                          duration_cast<milliseconds>(steady_clock::now() - start));
      return;
    }
    if (last.code() == absl::StatusCode::kResourceExhausted)
      DisarmAlarms(calls.client(), {.timeout = kShort});
    std::this_thread::sleep_for(kPoll);
  }
  violations_.Add("no recovery", Cat("after ", patience.count(), " ms: ", MessageOf(last)));
}

}  // namespace jetd::conformance
