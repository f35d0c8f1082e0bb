// SPDX-License-Identifier: Apache-2.0
#include "conformance/fanout/fanout_run.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <thread>
#include <utility>

#include "base/strings.h"
#include "conformance/fanout/subscriber.h"
#include "conformance/range_end.h"

namespace jetd::conformance {
namespace {

using etcdclient::Client;
using etcdclient::ServerProcess;
using etcdclient::WatchStream;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
namespace pb = etcdclient::pb;

constexpr milliseconds kPoll{10};

size_t ResidentBytes(pid_t pid) {
  std::ifstream in(Cat("/proc/", pid, "/statm"));
  size_t total_pages = 0;
  size_t resident_pages = 0;
  in >> total_pages >> resident_pages;
  return resident_pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

class Run {
 public:
  explicit Run(const FanoutOptions& options) : options_(options) {}

  absl::StatusOr<FanoutReport> Do() {
    auto server = ServerProcess::Start(options_.server);
    if (!server.ok()) return server.status();
    server_ = *std::move(server);
    if (absl::Status ready = server_->WaitReady(options_.patience); !ready.ok()) return ready;
    if (absl::Status opened = OpenWatches(); !opened.ok()) return opened;
    auto client = server_->Connect();
    if (!client.ok()) return client.status();
    PacedWriter writer(options_.load, client->get());
    const auto start = steady_clock::now();
    writer.WriteFor(options_.time);
    const std::chrono::duration<double> took = steady_clock::now() - start;
    const std::vector<std::vector<int64_t>> revisions = writer.Revisions();
    for (const std::string& error : writer.errors()) {
      report_.violations.push_back(Cat("a write failed: ", error));
    }
    report_.writes = writer.written();
    report_.writes_per_second = static_cast<double>(report_.writes) / took.count();
    WaitForEvents(revisions);
    report_.resident_bytes = ResidentBytes(server_->pid());
    if (options_.slow_client) CheckSlowClient(revisions);
    CheckSubscribers(revisions);
    if (absl::Status ended = server_->Stop(options_.patience); !ended.ok()) return ended;
    return report_;
  }

 private:
  absl::Status OpenWatches() {
    for (int i = 0; i < options_.connections; ++i) {
      subscribers_.push_back(
          std::make_unique<Subscriber>(Subscriber::Options{.endpoint = server_->endpoint(),
                                                           .first = i * options_.watches,
                                                           .watches = options_.watches,
                                                           .groups = options_.load.groups}));
    }
    const auto deadline = steady_clock::now() + options_.patience;
    for (const auto& subscriber : subscribers_) {
      while (subscriber->created() < options_.watches) {
        if (steady_clock::now() > deadline || subscriber->ended()) {
          return MakeStatus(absl::StatusCode::kDeadlineExceeded, "watches are not created\n",
                            server_->LogTail());
        }
        std::this_thread::sleep_for(kPoll);
      }
    }
    return options_.slow_client ? OpenSlowClient() : absl::OkStatus();
  }

  absl::Status OpenSlowClient() {
    auto client = server_->Connect();
    if (!client.ok()) return client.status();
    slow_client_ = *std::move(client);
    slow_stream_ = slow_client_->OpenWatch();
    pb::WatchRequest request;
    request.mutable_create_request()->set_key("/fanout/");
    request.mutable_create_request()->set_range_end(PrefixEnd("/fanout/"));
    slow_stream_->Send(std::move(request));
    return slow_stream_->Next(options_.patience).status();
  }

  // Until as many events came as should, or none comes any more.
  void WaitForEvents(const std::vector<std::vector<int64_t>>& revisions) {
    size_t expected = 0;
    for (const auto& subscriber : subscribers_) {
      for (int watch = 0; watch < options_.watches; ++watch) {
        expected += revisions[static_cast<size_t>(subscriber->GroupOf(watch))].size();
      }
    }
    auto progress = steady_clock::now();
    while (report_.events < expected && steady_clock::now() - progress < options_.patience) {
      size_t events = 0;
      for (const auto& subscriber : subscribers_) events += subscriber->events();
      if (events > report_.events) progress = steady_clock::now();
      report_.events = events;
      if (events < expected) std::this_thread::sleep_for(kPoll);
    }
  }

  void CheckSubscribers(const std::vector<std::vector<int64_t>>& revisions) {
    std::vector<uint32_t> ages_us;
    for (size_t i = 0; i < subscribers_.size(); ++i) {
      Subscriber& subscriber = *subscribers_[i];
      const bool ended = subscriber.ended();
      subscriber.Close();
      if (ended) report_.violations.push_back(Cat("connection ", i, " lost its stream"));
      for (int watch = 0; watch < options_.watches; ++watch) {
        CheckWatch(Cat("connection ", i, " watch ", watch),
                   revisions[static_cast<size_t>(subscriber.GroupOf(watch))],
                   subscriber.revisions()[static_cast<size_t>(watch)]);
      }
      ages_us.insert(ages_us.end(), subscriber.ages_us().begin(), subscriber.ages_us().end());
    }
    if (ages_us.empty()) return;
    std::sort(ages_us.begin(), ages_us.end());
    report_.age_p50_ms = ages_us[ages_us.size() / 2] / 1000.0;
    report_.age_p99_ms = ages_us[ages_us.size() / 100 * 99] / 1000.0;
    report_.age_max_ms = ages_us.back() / 1000.0;
  }

  void CheckWatch(const std::string& who, const std::vector<int64_t>& expected,
                  const std::vector<int64_t>& seen) {
    if (seen == expected) return;
    const auto [want, got] =
        std::mismatch(expected.begin(), expected.end(), seen.begin(), seen.end());
    report_.violations.push_back(Cat(who, " saw ", seen.size(), " events of ", expected.size(),
                                     "; after ", want - expected.begin(), " of them revision ",
                                     got == seen.end() ? 0 : *got, " instead of ",
                                     want == expected.end() ? 0 : *want, " (0: none)"));
  }

  // Now it reads: all of it is there, from the store if not from a buffer.
  void CheckSlowClient(const std::vector<std::vector<int64_t>>& revisions) {
    std::vector<int64_t> expected;
    for (const auto& group : revisions) {
      expected.insert(expected.end(), group.begin(), group.end());
    }
    std::sort(expected.begin(), expected.end());
    std::vector<int64_t> seen;
    while (seen.size() < expected.size()) {
      const auto response = slow_stream_->Next(options_.patience);
      if (!response.ok() || response->canceled()) {
        report_.violations.push_back(
            Cat("the slow client's watch ended: ", MessageOf(response.status())));
        break;
      }
      for (const auto& event : response->events()) seen.push_back(event.kv().mod_revision());
    }
    CheckWatch("the slow client", expected, seen);
  }

  const FanoutOptions options_;
  FanoutReport report_;
  std::unique_ptr<ServerProcess> server_;
  std::vector<std::unique_ptr<Subscriber>> subscribers_;
  std::unique_ptr<Client> slow_client_;
  std::unique_ptr<WatchStream> slow_stream_;
};

}  // namespace

absl::StatusOr<FanoutReport> RunFanout(const FanoutOptions& options) { return Run(options).Do(); }

}  // namespace jetd::conformance
