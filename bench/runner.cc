// SPDX-License-Identifier: Apache-2.0
#include "bench/runner.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <thread>
#include <utility>

#include "base/strings.h"
#include "bench/lease_worker.h"
#include "bench/list_worker.h"
#include "etcdclient/client.h"

namespace jetd::bench {
namespace {

namespace pb = etcdclient::pb;
using etcdclient::Caller;
using etcdclient::Client;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr int64_t kPatienceNs = 60'000'000'000;
// A start that replays a million keys on a busy machine.
constexpr int64_t kStartPatienceNs = 280'000'000'000;
constexpr std::chrono::minutes kCompactPatience{30};
// What keepalives need, if no phase before has granted any.
constexpr int64_t kLeases = 1000;

// What an idle kube-apiserver 1.36 shows: a connection per kind of object, a watch on nearly each.
constexpr int kIdleConnections = 66;
constexpr int kIdleWatches = 60;
constexpr double kIdleRate = 2.6;
constexpr int kIdleKeepaliveMs = 30'000;

// Whether somebody listens at http://a.b.c.d:port; true for other endpoints, which are not tried.
bool SomebodyListens(const std::string& endpoint) {
  constexpr std::string_view kHttp = "http://";
  const size_t colon = endpoint.rfind(':');
  if (!endpoint.starts_with(kHttp) || colon <= kHttp.size()) return true;
  const std::string host = endpoint.substr(kHttp.size(), colon - kHttp.size());
  uint16_t port = 0;
  (void)std::from_chars(endpoint.data() + colon + 1, endpoint.data() + endpoint.size(), port);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) return true;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return true;
  const bool yes = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return yes;
}

}  // namespace

Runner::Runner(Options options)
    : options_(std::move(options)),
      servers_(options_.pids),
      self_({getpid()}),
      keys_(options_.prefix) {}

Runner::~Runner() = default;

Client::Options Runner::ClientOptions() const {
  return {.endpoint = options_.endpoint,
          .ca_file = options_.ca_file,
          .cert_file = options_.cert_file,
          .key_file = options_.key_file};
}

absl::StatusOr<std::unique_ptr<Caller>> Runner::Connect(int connections,
                                                        milliseconds keepalive) const {
  return Caller::Connect({.endpoint = options_.endpoint,
                          .ca_file = options_.ca_file,
                          .cert_file = options_.cert_file,
                          .key_file = options_.key_file,
                          .connections = connections,
                          .keepalive = keepalive});
}

absl::Status Runner::Prepare() {
  if (caller_ != nullptr) return absl::OkStatus();
  const auto client = Client::Connect(ClientOptions());
  if (!client.ok()) return client.status();
  if (auto status = keys_.Load(client->get()); !status.ok()) return status;
  auto caller = Connect(options_.connections, milliseconds(0));
  if (!caller.ok()) return caller.status();
  caller_ = *std::move(caller);
  return absl::OkStatus();
}

void Runner::Begin() {
  servers_before_ = servers_.ReadCounters();
  self_before_ = self_.ReadCounters();
  begin_ns_ = NowNs();
}

void Runner::End(PhaseReport* report) {
  report->seconds = static_cast<double>(NowNs() - begin_ns_) / 1e9;
  const auto self = ProcessMeter::Difference(self_before_, self_.ReadCounters());
  report->servers = ProcessMeter::Difference(servers_before_, servers_.ReadAll());
  for (const ProcessUsage& usage : self) {
    if (usage.pid == getpid()) report->generator_cpu_ns = usage.cpu_ns;
  }
}

Driver::Hooks Runner::Measuring(PhaseReport* report) {
  return {.on_begin = [this] { Begin(); }, .on_end = [this, report] { End(report); }};
}

absl::StatusOr<PhaseReport> Runner::Run(const std::string& phase) {
  const auto spec = ParsePhase(phase);
  if (!spec.ok()) return spec.status();
  PhaseReport report{.spec = *spec, .text = phase};
  servers_.ResetPeaks();
  absl::Status status;
  if (spec->kind == PhaseKind::kAwait) {
    status = Await(&report);
  } else if (spec->kind == PhaseKind::kCompact) {
    status = Compact(&report);
  } else if (status = Prepare(); status.ok()) {
    switch (spec->kind) {
      case PhaseKind::kWatch:
        status = RunWatch(&report);
        break;
      case PhaseKind::kIdle:
        status = RunIdle(&report);
        break;
      case PhaseKind::kLeaseKeepAlive:
        RunKeepAlive(&report);
        break;
      default:
        RunPlain(&report);
    }
  }
  if (!status.ok()) return status;
  report.keys = keys_.live();
  return report;
}

absl::Status Runner::Await(PhaseReport* report) {
  const int64_t patient_until_ns = NowNs() + kStartPatienceNs;
  begin_ns_ = NowNs();
  pb::RangeRequest request;
  request.set_key(options_.prefix);
  request.set_range_end(PrefixEnd(options_.prefix));
  request.set_limit(500);
  std::unique_ptr<Client> client;
  std::string why = "nobody listens";
  while (NowNs() < patient_until_ns) {
    if (client == nullptr) {
      if (!SomebodyListens(options_.endpoint)) {
        std::this_thread::sleep_for(milliseconds(1));
        continue;
      }
      auto connected = Client::Connect(ClientOptions());
      if (!connected.ok()) return connected.status();
      client = *std::move(connected);
    }
    const auto answer = client->Call(request);
    const int64_t expected = report->spec.keys;
    if (!answer.ok()) {
      why = MessageOf(answer.status());
    } else if (expected >= 0 && answer->count() != expected) {
      why = Cat(answer->count(), " keys of ", expected);
    } else {
      report->ready_at_ns = NowNs();
      report->seconds = static_cast<double>(report->ready_at_ns - begin_ns_) / 1e9;
      report->result.ops = 1;
      report->result.latency.Add(report->ready_at_ns - begin_ns_);
      return absl::OkStatus();
    }
    std::this_thread::sleep_for(milliseconds(1));
  }
  return MakeStatus(absl::StatusCode::kDeadlineExceeded, "no complete answer: ", why);
}

// Its own connection, and no look at the keys: it runs beside another generator's phase.
absl::Status Runner::Compact(PhaseReport* report) {
  const auto client = Client::Connect(ClientOptions());
  if (!client.ok()) return client.status();
  const auto now = (*client)->Call(pb::StatusRequest());
  if (!now.ok()) return now.status();
  pb::CompactionRequest request;
  request.set_revision(now->header().revision() - report->spec.keep);
  request.set_physical(true);
  Begin();
  const auto answer = (*client)->Call(request, {.timeout = kCompactPatience});
  End(report);
  if (!answer.ok()) return answer.status();
  report->result.ops = report->result.items = 1;
  report->result.latency.Add(NowNs() - begin_ns_);
  return absl::OkStatus();
}

std::vector<std::unique_ptr<Worker>> Runner::MakeWorkers(const PhaseSpec& spec) {
  kv_work_ = {
      .caller = caller_.get(), .values = &values_, .keys = &keys_, .value_bytes = spec.value_bytes};
  std::vector<std::unique_ptr<Worker>> workers;
  for (int id = 0; id < spec.clients; ++id) {
    switch (spec.kind) {
      case PhaseKind::kList:
        workers.push_back(
            std::make_unique<ListWorker>(caller_.get(), &values_, &keys_, spec.limit, id));
        continue;
      case PhaseKind::kRangeStream:
        workers.push_back(std::make_unique<RangeStreamWorker>(caller_.get(), &values_, &keys_, id));
        continue;
      case PhaseKind::kLeaseGrant:
      case PhaseKind::kLeaseRevoke:
        workers.push_back(std::make_unique<LeaseWorker>(caller_.get(), spec.kind, spec.ttl_seconds,
                                                        &leases_, id));
        continue;
      case PhaseKind::kCreate:
        kv_work_.creates = 100;
        break;
      case PhaseKind::kDelete:
        kv_work_.deletes = 100;
        break;
      case PhaseKind::kGet:
        kv_work_.gets = 100;
        break;
      case PhaseKind::kMixed:
        kv_work_.updates = 60;
        kv_work_.gets = 20;
        kv_work_.creates = 10;
        kv_work_.deletes = 10;
        break;
      default:
        kv_work_.updates = 100;
    }
    workers.push_back(std::make_unique<KvWorker>(&kv_work_, id, spec.clients));
  }
  return workers;
}

void Runner::RunPlain(PhaseReport* report) {
  const auto workers = MakeWorkers(report->spec);
  Driver driver(caller_.get(), report->spec, Measuring(report));
  report->result = driver.Run(workers);
}

void Runner::RunKeepAlive(PhaseReport* report) {
  if (leases_.empty()) {
    PhaseReport grants{.spec = {.kind = PhaseKind::kLeaseGrant, .ops = kLeases}};
    grants.spec.warmup_seconds = 0;
    RunPlain(&grants);
  }
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<KeepAliveWorker*> streams;
  for (int id = 0; id < report->spec.clients; ++id) {
    auto worker = std::make_unique<KeepAliveWorker>(caller_.get(), &leases_, id);
    streams.push_back(worker.get());
    workers.push_back(std::move(worker));
  }
  Driver driver(caller_.get(), report->spec, Measuring(report));
  report->result = driver.Run(workers);
  for (KeepAliveWorker* stream : streams) stream->Close();
  for (KeepAliveWorker* stream : streams) {
    while (!stream->ended()) (void)caller_->RunOnce(steady_clock::now() + milliseconds(100));
  }
}

absl::Status Runner::RunWatch(PhaseReport* report) {
  const PhaseSpec& spec = report->spec;
  Watcher::Lag lag;
  std::vector<std::unique_ptr<Watcher>> watchers;
  for (int i = 0; i < spec.watchers; ++i) {
    const std::string prefix =
        spec.namespaces > 0 ? keys_.NamespacePrefix(i % spec.namespaces) : keys_.prefix();
    watchers.push_back(std::make_unique<Watcher>(caller_.get(), i, prefix, &values_, &keys_, &lag));
  }
  absl::Status status = WaitCreated(caller_.get(), watchers);
  if (status.ok()) {
    const auto workers = MakeWorkers(spec);
    std::vector<int64_t> writes(kNamespaces);
    kv_work_.on_updated = [&writes](int64_t index) {
      ++writes[static_cast<size_t>(index % kNamespaces)];
    };
    Driver driver(caller_.get(), spec, {.on_begin = [&] {
                    Begin();
                    lag.from_ns = begin_ns_;
                  }});
    report->result = driver.Run(workers);
    int64_t total = 0;
    for (const int64_t n : writes) total += n;
    const auto expected = [&](size_t i) {
      return spec.namespaces > 0 ? writes[i % static_cast<size_t>(spec.namespaces)] : total;
    };
    // Events of the measured writes may still be on their way.
    const int64_t patient_until_ns = NowNs() + kPatienceNs;
    for (size_t i = 0; i < watchers.size(); ++i) {
      while (watchers[i]->events() < expected(i) && watchers[i]->error().empty() &&
             NowNs() < patient_until_ns) {
        (void)caller_->RunOnce(steady_clock::now() + milliseconds(100));
      }
    }
    End(report);
    for (size_t i = 0; i < watchers.size(); ++i) {
      std::string error = watchers[i]->error();
      if (error.empty() && watchers[i]->events() != expected(i)) {
        error = Cat("watcher ", i, " saw ", watchers[i]->events(), " of ", expected(i), " events");
      }
      if (!error.empty() && report->result.errors++ == 0) report->result.first_error = error;
    }
  }
  CancelAll(caller_.get(), watchers);
  report->lag = lag.histogram;
  return status;
}

absl::Status Runner::RunIdle(PhaseReport* report) {
  // kube-apiserver's clients ping connections that have streams.
  auto connected = Connect(kIdleConnections, milliseconds(kIdleKeepaliveMs));
  if (!connected.ok()) return connected.status();
  std::swap(caller_, *connected);
  PhaseSpec& spec = report->spec;
  if (spec.rate == 0) spec.rate = kIdleRate;
  spec.clients = kIdleConnections;
  absl::Status status;
  {
    // A watch sees the writes, the others are on kinds of which there are none.
    Watcher::Lag lag;
    std::vector<std::unique_ptr<Watcher>> watchers;
    for (int i = 0; i < kIdleWatches; ++i) {
      const std::string prefix = i == 0 ? keys_.prefix() : Cat("/registry/idle-kind-", i, "/");
      watchers.push_back(
          std::make_unique<Watcher>(caller_.get(), i, prefix, &values_, &keys_, &lag));
    }
    status = WaitCreated(caller_.get(), watchers);
    if (status.ok()) {
      const auto workers = MakeWorkers(spec);
      kv_work_.updates = 60;
      kv_work_.gets = 40;
      Driver driver(caller_.get(), spec, Measuring(report));
      report->result = driver.Run(workers);
    }
    CancelAll(caller_.get(), watchers);
  }
  std::swap(caller_, *connected);
  return status;
}

}  // namespace jetd::bench
