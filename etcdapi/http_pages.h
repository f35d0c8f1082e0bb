// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_HTTP_PAGES_H_
#define JETD_ETCDAPI_HTTP_PAGES_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/duration_histogram.h"
#include "etcdapi/commit_tally.h"
#include "etcdapi/engine.h"
#include "etcdapi/health_checks.h"
#include "etcdapi/http_server.h"
#include "etcdapi/metrics_page.h"
#include "etcdapi/server.h"
#include "etcdapi/usage_keeper.h"

namespace jetd::etcdapi {

// HttpPages is what jetd serves over HTTP, under etcd's paths: /metrics, /health, /livez, /readyz,
// /version; and /usage. It asks the engine, and writes what it learned on the HTTP server's thread.
//
// /usage?since reads files for longer than any other page takes, so few may ask for it at a time;
// beyond: 503. Probes of health wait for no more than those.
//
// Thread rules: made before the engine's thread runs, gone after; the handler's own calls are the
// HTTP server's.
class HttpPages {
 public:
  // What there is besides the engine. Pointers outlive the pages; functions run on the engine
  // thread.
  struct Sources {
    const Server* server = nullptr;
    const CommitTally* tally = nullptr;
    std::function<bool()> has_leader;
    std::function<std::vector<std::string>()> alarms;
    // jetd's own syncs, of an embedded nats-server's files; null: it makes none.
    std::function<DurationHistogram()> syncs;
    // Whether those files were not what was expected; null: nobody looks into them.
    std::function<bool()> files_doubted;
    int64_t quota_bytes = 0;  // 0: none
    std::string usage_root;   // UsageKeeper::Sources::root
  };

  HttpPages(const Engine* engine, Sources sources);
  HttpPages(const HttpPages&) = delete;
  HttpPages& operator=(const HttpPages&) = delete;

  // The pages outlive whoever calls it.
  [[nodiscard]] HttpServer::Handler handler();

  // The engine thread's: at the end of each round of the loop, and at a clean stop.
  void LookAtUsage() { usage_.Look(); }
  void SaveUsage() { usage_.Save(); }

 private:
  using ReplyFn = HttpServer::ReplyFn;

  // The HTTP server's thread.
  void Route(const HttpRequest& request, ReplyFn reply);

  // The engine thread.
  [[nodiscard]] HealthChecks::Facts HealthFacts();
  void Read(HealthChecks::Read kind, const HealthChecks::DoneFn& done) const;
  [[nodiscard]] UsageKeeper::Sources UsageSources() const;
  [[nodiscard]] std::string ClusterId() const;
  [[nodiscard]] std::vector<RpcFigures> Rpcs() const;
  using PageFn = std::function<std::string(const Figures& figures)>;
  void WithFigures(const char* content_type, PageFn page, ReplyFn reply) const;
  [[nodiscard]] Figures Collect(std::optional<jetstream::StreamState> stream) const;

  // Requests under way that read the files of the record.
  static constexpr int kMostReaders = 2;
  class Reader;

  const Engine* const engine_;
  const Sources sources_;
  const std::shared_ptr<std::atomic<int>> readers_ = std::make_shared<std::atomic<int>>(0);
  HealthChecks health_;
  UsageKeeper usage_;
};

// What an answered write survives, one line for people.
[[nodiscard]] std::string DurabilityText(const jetstream::LogInfo& info);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_HTTP_PAGES_H_
