// SPDX-License-Identifier: Apache-2.0
#include "conformance/members/beat.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/check.h"
#include "base/strings.h"
#include "conformance/range_end.h"
#include "conformance/server_faults.h"

namespace jetd::conformance {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;
namespace pb = etcdclient::pb;

constexpr etcdclient::CallOptions kWrite{.timeout = milliseconds(8'000)};
constexpr etcdclient::CallOptions kRead{.timeout = milliseconds(60'000)};
constexpr milliseconds kPoll{1};
constexpr int64_t kPage = 10'000;

}  // namespace

Beat::Beat(Options options) : options_(std::move(options)) {
  for (const std::string& endpoint : options_.endpoints) {
    auto client = etcdclient::Client::Connect({.endpoint = endpoint});
    JETD_CHECK(client.ok()) << client.status();
    clients_.push_back(*std::move(client));
  }
  thread_ = std::thread([this] { Run(); });
}

Beat::~Beat() { Stop(); }

void Beat::Run() {
  auto next = steady_clock::now();
  while (!stop_) {
    Send(*clients_[member_.load()]);
    next = std::max(next + options_.every, steady_clock::now());
    std::this_thread::sleep_until(next);
  }
}

void Beat::Send(etcdclient::Client& client) {
  size_t number = 0;
  {
    MutexLock lock(mutex_);
    number = writes_.size();
    writes_.push_back({.sent = steady_clock::now()});
  }
  pb::PutRequest request;
  request.set_key(Cat(Prefix(), number));
  request.set_value(Cat(number));
  client.CallAsync<pb::PutRequest>(
      request,
      [this, number](const absl::StatusOr<pb::PutResponse>& response) {
        MutexLock lock(mutex_);
        // Under the lock, so that answers_ is in order.
        const auto now = steady_clock::now();
        Write& write = writes_[number];
        write.ended = now;
        if (response.ok()) {
          write.fate = Fate::kAnswered;
          write.revision = response->header().revision();
          ++counts_.answered;
          answers_.push_back(now);
          return;
        }
        const bool refused = IsRefusal(response.status());
        write.fate = refused ? Fate::kRefused : Fate::kUnknown;
        ++(refused ? counts_.refused : counts_.unknown);
        ++errors_[std::string(MessageOf(response.status()))];
      },
      kWrite);
}

nanoseconds Beat::LongestGap(Time since) const {
  MutexLock lock(mutex_);
  nanoseconds longest{0};
  Time last = since;
  for (auto answer = std::lower_bound(answers_.begin(), answers_.end(), since);
       answer != answers_.end(); ++answer) {
    longest = std::max<nanoseconds>(longest, *answer - last);
    last = *answer;
  }
  return std::max<nanoseconds>(longest, steady_clock::now() - last);
}

bool Beat::AwaitAnswer(Time since, milliseconds patience) const {
  const auto deadline = steady_clock::now() + patience;
  while (steady_clock::now() < deadline) {
    {
      MutexLock lock(mutex_);
      for (auto write = writes_.rbegin(); write != writes_.rend() && write->sent > since; ++write) {
        if (write->fate == Fate::kAnswered) return true;
      }
    }
    std::this_thread::sleep_for(kPoll);
  }
  return false;
}

void Beat::Stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
  // Those under way end with their client: of unknown fate.
  clients_.clear();
}

absl::Status Beat::Judge(const std::string& endpoint, history::Violations& violations) {
  auto client = etcdclient::Client::Connect({.endpoint = endpoint});
  if (!client.ok()) return client.status();
  MutexLock lock(mutex_);
  std::vector<bool> there(writes_.size());
  pb::RangeRequest page;
  page.set_key(Prefix());
  page.set_range_end(PrefixEnd(Prefix()));
  page.set_limit(kPage);
  while (true) {
    const auto response = (*client)->Call(page, kRead);
    if (!response.ok()) return response.status();
    page.set_revision(response->header().revision());
    for (const auto& kv : response->kvs()) {
      size_t number = writes_.size();
      std::from_chars(kv.value().data(), kv.value().data() + kv.value().size(), number);
      if (number >= writes_.size() || kv.key() != Cat(Prefix(), number)) {
        violations.Add("invented value", kv.key());
        continue;
      }
      there[number] = true;
      const Write& write = writes_[number];
      if (kv.version() != 1) {
        violations.Add("doubled write", Cat(kv.key(), " has version ", kv.version()));
      }
      if (write.fate == Fate::kAnswered && kv.mod_revision() != write.revision) {
        violations.Add("wrong revision", Cat(kv.key(), " is at ", kv.mod_revision(),
                                             ", answered was ", write.revision));
      }
      if (write.fate == Fate::kRefused) violations.Add("refused write is there", kv.key());
      if (write.fate == Fate::kUnknown) ++counts_.unknown_landed;
    }
    if (!response->more()) break;
    page.set_key(response->kvs(response->kvs_size() - 1).key() + '\0');
  }
  for (size_t i = 0; i < writes_.size(); ++i) {
    if (writes_[i].fate == Fate::kAnswered && !there[i]) {
      violations.Add("lost write", Cat(Prefix(), i, " of revision ", writes_[i].revision));
    }
  }
  return absl::OkStatus();
}

Beat::Counts Beat::counts() const {
  MutexLock lock(mutex_);
  return counts_;
}

std::map<std::string, size_t> Beat::errors() const {
  MutexLock lock(mutex_);
  return errors_;
}

}  // namespace jetd::conformance
