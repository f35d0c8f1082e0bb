// SPDX-License-Identifier: Apache-2.0
#include "conformance/links/link_reading.h"

#include <sys/resource.h>

#include <algorithm>
#include <random>

#include "base/check.h"
#include "base/strings.h"
#include "jetstream/nats_log.h"
#include "jetstream/nats_test_server.h"
#include "replication/log_session.h"
#include "replication/mirror_fixture.h"

namespace jetd::conformance {
namespace {

using jetstream::NatsTestDomains;
using std::chrono::steady_clock;

constexpr uint64_t kRecordsAtATime = 500;

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void Fill(const std::string& url, uint64_t records, size_t value_bytes) {
  replication::HandWriter writer(url);
  writer.Lead("00112233445566778899aabbccddeeff");
  // Of its own each, and nothing that could be compressed: a leaf node's link would be.
  std::mt19937_64 random(1);
  std::string value(value_bytes, '\0');
  for (uint64_t i = 1; i < records; ++i) {
    std::generate(value.begin(), value.end(), [&random] { return static_cast<char>(random()); });
    writer.Put(Cat("/registry/key-", i), value);
    if (i % kRecordsAtATime == 0) writer.Flush();
  }
  writer.Flush();
}

}  // namespace

std::unique_ptr<LinkReading> LinkReading::Prepare(const Options& options) {
  std::unique_ptr<LinkReading> reading(new LinkReading(options));
  const auto relay = [&reading](int port) {
    reading->link_ = Relay::Start(port).value();
    return reading->link_->port();
  };
  if (options.link == Options::Link::kLeafNode) {
    reading->domains_ = NatsTestDomains::Start(relay);
    if (reading->domains_ == nullptr) return nullptr;
    Fill(reading->domains_->hub().url(), options.records, options.value_bytes);
    return reading;
  }
  reading->server_ = jetstream::NatsTestServer::StartFrom("JETD_NATS_SERVER", options.nats_config);
  if (reading->server_ == nullptr) return nullptr;
  Fill(reading->server_->url(), options.records, options.value_bytes);
  (void)relay(reading->server_->port());
  return reading;
}

LinkReading::Report LinkReading::Read(size_t bytes_per_second) {
  jetstream::NatsLogOptions log;
  log.stream.bucket = replication::kMirrorBucket;
  log.read_only = true;
  log.ping_interval = options_.ping_interval;
  std::string url = Cat("nats://127.0.0.1:", link_->port());
  if (domains_ != nullptr) {
    url = domains_->leaf().url();
    log.domain = NatsTestDomains::kHub;
  }
  log.endpoint = jetstream::RotateEndpoints({url}, {});

  Report report;
  link_->Throttle(bytes_per_second);
  const Relay::Counts before = link_->counts();
  const auto start = steady_clock::now();
  const double cpu = CpuSeconds();
  report.status = replication::RunOnLog(
      log, {.end = std::chrono::seconds(0)},
      [&report](jetstream::Log* to_read, const jetstream::LogInfo&, auto done) {
        to_read->Read(
            {}, [&report](const jetstream::Record&) { ++report.records; },
            [done](const absl::StatusOr<StreamSeq>& last) { done(last.status()); });
      });
  report.seconds = std::chrono::duration<double>(steady_clock::now() - start).count();
  report.cpu_seconds = CpuSeconds() - cpu;
  const Relay::Counts after = link_->counts();
  report.bytes_down = after.down_bytes - before.down_bytes;
  report.bytes_up = after.up_bytes - before.up_bytes;
  link_->Release();
  return report;
}

}  // namespace jetd::conformance
