// SPDX-License-Identifier: Apache-2.0
// What NatsLog costs against a real nats-server: CPU of this process an append, at several numbers
// in flight, and the pace of reading it all back. Starts the nats-server that JETD_NATS_SERVER
// names, and for the durable appends an embedded one in the temporary folder (on a real disk, or
// the figure says nothing).
#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/check.h"
#include "base/loop.h"
#include "base/strings.h"
#include "benchmark/benchmark.h"
#include "jetstream/embedded_server.h"
#include "jetstream/group_sync.h"
#include "jetstream/nats_log.h"
#include "jetstream/nats_test_server.h"

namespace jetd::jetstream {
namespace {

constexpr uint64_t kBatch = 20'000;
constexpr size_t kValueBytes = 300;

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Keeps `window` appends in flight until a goal is reached.
class Appender : public Log::Observer {
 public:
  explicit Appender(const std::string& url) : value_(kValueBytes, 'v') {
    NatsLogOptions options;
    options.endpoint = RotateEndpoints({url}, {});
    Open(std::move(options));
  }
  // On an embedded server: an append is done when it is durable.
  explicit Appender(EmbeddedServer* server) : value_(kValueBytes, 'v') {
    sync_ = std::make_unique<GroupSync>(&loop_, server->StreamFolder("bench"));
    NatsLogOptions options;
    options.endpoint = [server] { return server->endpoint(); };
    options.exclusive = true;
    options.durability = sync_.get();
    Open(std::move(options));
  }

  void Open(NatsLogOptions options) {
    options.stream.bucket = "bench";
    log_ = std::make_unique<NatsLog>(&loop_, std::move(options));
    log_->Open(this, [](const absl::Status& why) { JETD_CHECK(false) << why; });
    loop_.Run();
    log_->Barrier([this](absl::StatusOr<StreamSeq> last) {
      done_ = last.value().value();
      next_ = done_ + 1;
      loop_.Stop();
    });
    loop_.Run();
  }

  void Append(uint64_t count, uint64_t window) {
    goal_ = next_ + count - 1;
    while (window-- > 0) One();
    loop_.Run();
  }
  uint64_t ReadAll(bool headers_only) {
    uint64_t records = 0;
    log_->Read(
        {.headers_only = headers_only}, [&](const Record&) { ++records; },
        [this](const absl::StatusOr<StreamSeq>& last) {
          JETD_CHECK(last.ok()) << last.status();
          loop_.Stop();
        });
    loop_.Run();
    return records;
  }

  void OnConnected(const LogInfo&) override { loop_.Stop(); }
  void OnDisconnected(const absl::Status& why) override { JETD_CHECK(false) << why; }
  void OnAppended(StreamSeq seq) override {
    if (sync_ == nullptr) Done(seq);
  }
  void OnRefused(StreamSeq, const absl::Status& why) override { JETD_CHECK(false) << why; }
  void OnDurable(StreamSeq seq) override {
    if (sync_ == nullptr) return;
    while (done_ < seq.value()) Done(StreamSeq(done_ + 1));
  }
  void OnForeignTerm() override {}

 private:
  void Done(StreamSeq seq) {
    done_ = seq.value();
    if (next_ <= goal_) One();
    if (done_ == goal_) loop_.Stop();
  }
  void One() {
    subject_ = "$KV.bench./registry/pods/default/web-";
    CatTo(subject_, next_ % 1000);
    log_->Append(StreamSeq(next_++),
                 {.subject = subject_, .header = "1042 17 5 0 1/1 2", .payload = value_});
  }

  Loop loop_;
  const std::string value_;
  std::string subject_;
  uint64_t next_ = 1;
  uint64_t goal_ = 0;
  uint64_t done_ = 0;
  std::unique_ptr<GroupSync> sync_;
  std::unique_ptr<NatsLog> log_;
};

NatsTestServer* Server() {
  static const std::unique_ptr<NatsTestServer> server =
      NatsTestServer::StartFrom("JETD_NATS_SERVER");
  return server.get();
}

void BM_Append(benchmark::State& state) {
  if (Server() == nullptr) return state.SkipWithError("JETD_NATS_SERVER names no nats-server");
  Appender appender(Server()->url());
  const double before = CpuSeconds();
  for (auto _ : state) appender.Append(kBatch, static_cast<uint64_t>(state.range(0)));
  const auto appends = static_cast<double>(state.iterations() * kBatch);
  state.counters["client_us"] = (CpuSeconds() - before) * 1e6 / appends;
  state.SetItemsProcessed(static_cast<int64_t>(appends));
}
BENCHMARK(BM_Append)->Arg(1)->Arg(16)->Arg(64)->Arg(256)->UseRealTime()->Iterations(3);

void BM_AppendDurable(benchmark::State& state) {
  const char* const program = std::getenv("JETD_NATS_SERVER");
  if (program == nullptr) return state.SkipWithError("JETD_NATS_SERVER names no nats-server");
  std::string folder = std::filesystem::temp_directory_path() / "jetd_bench_XXXXXX";
  JETD_CHECK(mkdtemp(folder.data()) != nullptr);
  {
    EmbeddedServer::Options options;
    options.program = program;
    options.data_dir = folder;
    const auto server = EmbeddedServer::Start(std::move(options)).value();
    Appender appender(server.get());
    const auto count = static_cast<uint64_t>(state.range(0)) * 200;
    for (auto _ : state) appender.Append(count, static_cast<uint64_t>(state.range(0)));
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * count));
  }
  std::filesystem::remove_all(folder);
}
BENCHMARK(BM_AppendDurable)->Arg(1)->Arg(16)->Arg(64)->Arg(256)->UseRealTime()->Iterations(3);

void BM_Read(benchmark::State& state) {
  if (Server() == nullptr) return state.SkipWithError("JETD_NATS_SERVER names no nats-server");
  Appender appender(Server()->url());
  appender.Append(200'000, 256);
  const double before = CpuSeconds();
  uint64_t records = 0;
  for (auto _ : state) records += appender.ReadAll(state.range(0) == 1);
  state.counters["client_us"] = (CpuSeconds() - before) * 1e6 / static_cast<double>(records);
  state.SetItemsProcessed(static_cast<int64_t>(records));
}
BENCHMARK(BM_Read)->ArgName("headers_only")->Arg(0)->Arg(1)->UseRealTime()->Iterations(2);

}  // namespace
}  // namespace jetd::jetstream

BENCHMARK_MAIN();
