// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/http_pages.h"

#include <charconv>
#include <chrono>
#include <memory>
#include <string_view>
#include <utility>

#include "base/limits.h"
#include "base/strings.h"
#include "etcdapi/maintenance_service.h"
#include "etcdapi/status_map.h"
#include "etcdapi/usage_page.h"
#include "nlohmann/json.hpp"

namespace jetd::etcdapi {
namespace {

// As etcd 3.5 says it.
constexpr char kClusterVersion[] = "3.5.0";
constexpr char kClusterVersionOfMetrics[] = "3.5";
// How long a scrape waits for NATS to say how large the stream is; it goes on without.
constexpr std::chrono::milliseconds kSizePatience{500};

HttpReply NotFound() {
  return {.status = 404,
          .headers = {{"X-Content-Type-Options", "nosniff"}},
          .body = "404 page not found\n"};
}

HttpReply WrongMethod() {
  return {.status = 405,
          .headers = {{"Allow", "GET"}, {"X-Content-Type-Options", "nosniff"}},
          .body = "Method Not Allowed\n"};
}

HttpReply BadRequest(const char* why) {
  return {.status = 400, .headers = {{"X-Content-Type-Options", "nosniff"}}, .body = why};
}

// "1700000000": seconds since 1970, in milliseconds; nullopt: it is no such number.
std::optional<int64_t> MillisecondsOf(const std::string& seconds) {
  constexpr int64_t kMost = 1'000'000'000'000;
  int64_t number = 0;
  const char* const end = seconds.data() + seconds.size();
  const auto parsed = std::from_chars(seconds.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end || number < 0 || number > kMost) {
    return std::nullopt;
  }
  return number * 1'000;
}

HttpReply TooManyReaders() {
  return {.status = 503,
          .headers = {{"Retry-After", "1"}, {"X-Content-Type-Options", "nosniff"}},
          .body = "others read the record of usage now, ask again\n"};
}

HttpReply Version() {
  nlohmann::ordered_json json;
  json["etcdserver"] = kEtcdVersion;
  json["etcdcluster"] = kClusterVersion;
  return {.headers = {{"Content-Type", "application/json"}}, .body = json.dump()};
}

// Something that is done once: by an answer, or when patience is over.
class Once {
 public:
  using Fn = std::function<void()>;
  Once(Executor* executor, std::chrono::milliseconds patience, Fn over)
      : executor_(executor), over_(std::move(over)) {
    timer_ = executor_->RunAfter(patience, [this] {
      timer_ = 0;
      std::exchange(over_, nullptr)();
    });
  }
  ~Once() { executor_->Cancel(timer_); }
  Once(const Once&) = delete;
  Once& operator=(const Once&) = delete;

  // True for the first who comes, unless patience is over.
  [[nodiscard]] bool Take() {
    executor_->Cancel(std::exchange(timer_, 0));
    return std::exchange(over_, nullptr) != nullptr;
  }

 private:
  Executor* const executor_;
  TimerId timer_ = 0;
  Fn over_;
};

std::string HexId(uint64_t id) {
  char text[17] = "";
  const auto end = std::to_chars(text, text + sizeof(text), id, 16).ptr;
  return {text, end};
}

}  // namespace

// One of those who may read the record's files, until it leaves.
class HttpPages::Reader {
 public:
  explicit Reader(std::shared_ptr<std::atomic<int>> readers) : readers_(std::move(readers)) {
    ++*readers_;
  }
  ~Reader() { Leave(); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  void Leave() {
    if (reads_.exchange(false)) --*readers_;
  }

 private:
  const std::shared_ptr<std::atomic<int>> readers_;
  std::atomic<bool> reads_{true};
};

std::string DurabilityText(const jetstream::LogInfo& info) {
  if (info.bucket.empty()) return "not known before the first connection to NATS";
  if (!info.durability_caveat.empty()) return info.durability_caveat;
  return info.synced ? "an answer waits until its records are synced to the disk"
                     : "as NATS keeps it";
}

HttpPages::HttpPages(const Engine* engine, Sources sources)
    : engine_(engine),
      sources_(std::move(sources)),
      health_(HealthFacts()),
      usage_(engine_->loop, UsageSources()) {}

UsageKeeper::Sources HttpPages::UsageSources() const {
  UsageKeeper::Sources usage;
  usage.root = sources_.usage_root;
  usage.owner = [this]() -> std::optional<UsageOwner> {
    if (ClusterId().empty()) return std::nullopt;
    return UsageOwner{engine_->committer->log_info().bucket, ClusterId(),
                      HexId(engine_->member_id)};
  };
  usage.counters = [this] {
    Figures figures;
    figures.rpcs = Rpcs();
    figures.watches = engine_->hub->stats();
    figures.process = ReadProcessFigures();
    return CountersOf(figures);
  };
  usage.messages = [this] {
    uint64_t messages = 0;
    sources_.server->ForEachTally([&messages](const RpcTally& tally) {
      messages += tally.messages_received + tally.messages_sent;
    });
    return messages;
  };
  return usage;
}

std::string HttpPages::ClusterId() const {
  // Before the first connection to NATS nobody knows it.
  if (engine_->committer->log_info().bucket.empty()) return std::string();
  return HexId(engine_->Ids().cluster_id);
}

std::vector<RpcFigures> HttpPages::Rpcs() const {
  std::vector<RpcFigures> rpcs;
  sources_.server->ForEachTally(
      [&rpcs](const RpcTally& tally) { rpcs.push_back(FiguresOf(tally)); });
  return rpcs;
}

HealthChecks::Facts HttpPages::HealthFacts() {
  HealthChecks::Facts facts;
  facts.has_leader = sources_.has_leader;
  facts.alarms = sources_.alarms;
  facts.read = [this](HealthChecks::Read kind, const HealthChecks::DoneFn& done) {
    Read(kind, done);
  };
  facts.durability = [this] { return DurabilityText(engine_->committer->log_info()); };
  facts.waiting_for = [this] { return engine_->committer->waiting_for(); };
  return facts;
}

HttpServer::Handler HttpPages::handler() {
  return [this](const HttpRequest& request, ReplyFn reply) { Route(request, std::move(reply)); };
}

void HttpPages::Route(const HttpRequest& request, ReplyFn reply) {
  const bool metrics = request.path == "/metrics";
  const bool usage = request.path == "/usage";
  const bool version = request.path == "/version";
  if (!metrics && !usage && !version && !HealthChecks::Serves(request.path)) {
    return reply(NotFound());
  }
  if (request.method != "GET") return reply(WrongMethod());
  if (version) return reply(Version());
  std::optional<int64_t> since_ms;
  if (usage && request.Has("since")) {
    since_ms = MillisecondsOf(request.First("since"));
    if (!since_ms.has_value()) return reply(BadRequest("since: no number of seconds since 1970\n"));
    if (*readers_ >= kMostReaders) return reply(TooManyReaders());
  }
  const auto reader = since_ms.has_value() ? std::make_shared<Reader>(readers_) : nullptr;
  engine_->loop->Post([this, metrics, usage, since_ms, reader, request, reply = std::move(reply)] {
    if (metrics) {
      WithFigures(kMetricsContentType, &MetricsPage, reply);
    } else if (usage) {
      const auto page = [since_ms, reader](const Figures& figures) {
        std::string text = UsagePage(figures, since_ms);
        if (reader != nullptr) reader->Leave();
        return text;
      };
      WithFigures("application/json", page, reply);
    } else {
      health_.Serve(request, reply);
    }
  });
}

void HttpPages::Read(HealthChecks::Read kind, const HealthChecks::DoneFn& done) const {
  // A key as good as any.
  static const revision::RangeOp local{
      .keys = {.key = "health"}, .limit = 1, .serializable = true, .keys_only = true};
  static const revision::RangeOp proven{.keys = {.key = "health"}, .limit = 1, .keys_only = true};
  // A member that replays, or waits for NATS, is as alive as it will be: see HealthChecks.
  if (kind == HealthChecks::Read::kSerializable && !sources_.tally->served()) {
    return done(absl::OkStatus());
  }
  const auto once = std::make_shared<Once>(engine_->loop, limits::kHealthReadPatience, [done] {
    done(absl::DeadlineExceededError("context deadline exceeded"));
  });
  engine_->committer->Range(kind == HealthChecks::Read::kSerializable ? &local : &proven,
                            [once, done](const absl::StatusOr<revision::RangeResult>& result) {
                              if (!once->Take()) return;
                              if (result.ok()) return done(absl::OkStatus());
                              done(absl::UnavailableError(ToGrpc(result.status()).message()));
                            });
}

void HttpPages::WithFigures(const char* content_type, PageFn page, ReplyFn reply) const {
  const auto answer = [this, content_type, page = std::move(page), reply = std::move(reply)](
                          const std::optional<jetstream::StreamState>& stream) {
    const auto figures = std::make_shared<Figures>(Collect(stream));
    reply({.headers = {{"Content-Type", content_type}}, .make_body = [figures, page] {
             figures->process = ReadProcessFigures();
             return page(*figures);
           }});
  };
  const auto once =
      std::make_shared<Once>(engine_->loop, kSizePatience, [answer] { answer(std::nullopt); });
  engine_->log->State([once, answer](const absl::StatusOr<jetstream::StreamState>& state) {
    if (!once->Take()) return;
    answer(state.ok() ? std::optional(*state) : std::nullopt);
  });
}

Figures HttpPages::Collect(std::optional<jetstream::StreamState> stream) const {
  const revision::Committer& committer = *engine_->committer;
  Figures f;
  f.server_version = kEtcdVersion;
  f.cluster_version = kClusterVersionOfMetrics;
  f.jetd_version = JETD_VERSION;
  f.member_id = HexId(engine_->member_id);
  f.has_leader = sources_.has_leader();
  f.is_leader = committer.leading();
  f.leader_changes = sources_.tally->leader_changes();
  f.term = committer.term().value();
  f.raft_index = committer.last_seq().value();
  f.revision = engine_->store->committed().value();
  f.compacted = engine_->store->compacted().value();
  f.compacted_ms = sources_.tally->compacted_ms();
  f.puts = sources_.tally->puts();
  f.deletes = sources_.tally->deletes();
  f.put_bytes = sources_.tally->put_bytes();
  f.stream = stream;
  f.quota_bytes = sources_.quota_bytes;
  f.alarms = sources_.alarms();
  f.committer = committer.counters();
  if (committer.leading()) {
    f.mirrors = committer.mirrors();
    f.mirror_audits = committer.mirror_audits();
    // For the next page: asking them takes a while.
    engine_->committer->LookAtMirrors();
  }
  f.timings = committer.timings();
  if (sources_.syncs) f.syncs = sources_.syncs();
  if (sources_.files_doubted) f.files_doubted = sources_.files_doubted();
  f.store = engine_->store->stats();
  f.watches = engine_->hub->stats();
  f.leases = engine_->lessor->stats();
  f.log = committer.log_info();
  f.rpcs = Rpcs();
  f.health = health_.counts();
  f.usage = {.cluster_id = ClusterId(),
             .before = usage_.before(),
             .folder = usage_.folder(),
             .now_ms = engine_->loop->WallNowMs()};
  return f;
}

}  // namespace jetd::etcdapi
