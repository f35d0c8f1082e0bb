// SPDX-License-Identifier: Apache-2.0
//
// jetd's composition root: from the command line to a running server, and its end. The main thread
// starts everything, then waits for a signal or a fatal error.
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/argument_secrets.h"
#include "base/log.h"
#include "base/log_fields.h"
#include "base/loop.h"
#include "base/random_id.h"
#include "base/strings.h"
#include "etcdapi/auto_compactor.h"
#include "etcdapi/commit_tally.h"
#include "etcdapi/engine.h"
#include "etcdapi/etcd_files.h"
#include "etcdapi/first_steps.h"
#include "etcdapi/flags.h"
#include "etcdapi/forwarder.h"
#include "etcdapi/health_service.h"
#include "etcdapi/http_pages.h"
#include "etcdapi/http_server.h"
#include "etcdapi/kv_service.h"
#include "etcdapi/leader_guard.h"
#include "etcdapi/lease_service.h"
#include "etcdapi/lookout.h"
#include "etcdapi/maintenance_service.h"
#include "etcdapi/nats_files.h"
#include "etcdapi/reflection_service.h"
#include "etcdapi/server.h"
#include "etcdapi/service_notice.h"
#include "etcdapi/watch_service.h"
#include "jetstream/embedded_server.h"
#include "jetstream/group_sync.h"
#include "jetstream/nats_log.h"
#include "jetstream/nats_messenger.h"
#include "jetstream/nats_program.h"
#include "lease/lessor.h"
#include "revision/checkpoint.h"
#include "revision/committer.h"
#include "revision/peers.h"
#include "revision/store.h"
#include "revision/value_files.h"
#include "watch/watch_hub.h"

namespace jetd::etcdapi {
namespace {

// A handler has no other way to what it should tell.
const Alarm* alarm_of_signals = nullptr;
std::atomic<int> caught_signal{0};

void OnSignal(int number) {
  caught_signal.store(number);
  alarm_of_signals->Ring();
}

void CatchSignals(const Alarm* alarm) {
  alarm_of_signals = alarm;
  struct sigaction action {};
  action.sa_handler = &OnSignal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

class Program {
 public:
  // `embedded` is null with an outside NATS.
  Program(Config config, std::vector<Listener> listeners,
          std::unique_ptr<jetstream::EmbeddedServer> embedded, std::unique_ptr<HttpServer> http);
  // Returns the exit code.
  int Run();

 private:
  void KeepValuesInFiles(const char* folder_in_data_dir, revision::Store* store) const;
  void MakePages();
  [[nodiscard]] std::string CheckpointPath() const;
  void StartEngine();
  [[nodiscard]] absl::Status StartServer();
  void TellReady() const;
  void Compact(Revision revision, const AutoCompactor::DoneFn& done);
  void ServeOthers();
  void HandOver();
  void Stop();
  void OnEngine(const std::function<void()>& fn);
  [[nodiscard]] jetstream::NatsLogOptions LogOptions() const;
  [[nodiscard]] revision::Committer::Options CommitterOptions() const;

  const Config config_;
  Alarm alarm_;
  Lookout lookout_{&alarm_};
  const std::unique_ptr<jetstream::EmbeddedServer> embedded_;
  Loop loop_;
  const std::unique_ptr<jetstream::GroupSync> group_sync_;  // of the embedded server's files
  // Both null with the embedded server: there are no other members.
  const std::unique_ptr<jetstream::NatsMessenger> messenger_;
  const std::unique_ptr<revision::Peers> peers_;
  jetstream::NatsLog log_;
  revision::Store store_;
  revision::Committer committer_;
  watch::WatchHub hub_;
  lease::Lessor lessor_;
  HashMemory hashes_{&store_};
  AutoCompactor auto_compactor_;
  LeaderGuard leader_guard_;
  Engine engine_;
  std::unique_ptr<Forwarder> forwarder_;  // null likewise
  Server server_;
  CommitTally tally_{&loop_};
  std::optional<HttpPages> pages_;
  const std::unique_ptr<HttpServer> http_;
  std::thread engine_thread_;
};

uint64_t MemberId(const Config& config) {
  return StableId(Cat("jetd/member/", config.nats.bucket, "/", config.name));
}

revision::Peers::Member Self(const Config& config) {
  return {MemberId(config), config.name, config.advertise_client_urls};
}

Server::Options ServerOptions(const Config& config, std::vector<Listener> listeners,
                              const revision::Committer* committer, HttpServer* http) {
  Server::Options options;
  options.listeners = std::move(listeners);
  options.max_message_bytes = config.limits.max_request_bytes + limits::kGrpcOverheadBytes;
  options.keepalive_min_time = config.keepalive_min_time;
  options.keepalive_interval = config.keepalive_interval;
  options.keepalive_timeout = config.keepalive_timeout;
  options.slow_threshold = config.slow_request;
  options.waits = [committer] { return WaitsOf(*committer); };
  options.time_calls = config.extensive_metrics;
  if (config.listen_client_http_urls.empty()) {
    options.http1 = [http](rpc::Http1Client client) { http->Take(std::move(client)); };
  }
  return options;
}

watch::WatchHub::Options HubOptions(const Config& config) {
  watch::WatchHub::Options options;
  options.progress_interval = config.watch_progress_interval;
  // etcd cuts fragments at what it receives, framing included.
  options.fragment_bytes = config.limits.max_request_bytes + limits::kGrpcOverheadBytes;
  return options;
}

Program::Program(Config config, std::vector<Listener> listeners,
                 std::unique_ptr<jetstream::EmbeddedServer> embedded,
                 std::unique_ptr<HttpServer> http)
    : config_(std::move(config)),
      embedded_(std::move(embedded)),
      group_sync_(embedded_ == nullptr ? nullptr
                                       : std::make_unique<jetstream::GroupSync>(
                                             &loop_, embedded_->StreamFolder(config_.nats.bucket))),
      messenger_(embedded_ != nullptr
                     ? nullptr
                     : std::make_unique<jetstream::NatsMessenger>(&loop_, config_.nats.bucket)),
      peers_(messenger_ == nullptr
                 ? nullptr
                 : std::make_unique<revision::Peers>(&loop_, messenger_.get(), Self(config_))),
      log_(&loop_, LogOptions()),
      committer_(&loop_, &log_, &store_, CommitterOptions()),
      hub_(&loop_, &store_, HubOptions(config_)),
      lessor_(&loop_, &committer_, &store_, {}),
      auto_compactor_(
          &loop_, config_.compaction, [this] { return store_.committed(); },
          [this](Revision revision, const AutoCompactor::DoneFn& done) {
            Compact(revision, done);
          }),
      leader_guard_(
          &loop_, [this] { return committer_.has_leader(); },
          [this](bool has_leader) { server_.TellLeader(has_leader); }),
      server_(&loop_, ServerOptions(config_, std::move(listeners), &committer_, http.get()),
              [this] { return leader_guard_.has_leader(); }),
      http_(std::move(http)) {
  KeepValuesInFiles("/values", &store_);
  committer_.AddListener(&hub_);
  committer_.AddListener(&lessor_);
  committer_.AddListener(&hashes_);
  committer_.AddListener(&lookout_);
  loop_.AddRoundHook([this] { leader_guard_.Look(); });
  engine_.loop = &loop_;
  engine_.log = &log_;
  engine_.store = &store_;
  engine_.committer = &committer_;
  engine_.hub = &hub_;
  engine_.lessor = &lessor_;
  engine_.hashes = &hashes_;
  engine_.member_id = CommitterOptions().member_id;
  engine_.member_name = config_.name;
  engine_.client_urls = config_.advertise_client_urls;
  if (peers_ != nullptr) ServeOthers();
  MakePages();
}

void Program::MakePages() {
  committer_.AddListener(&tally_);
  HttpPages::Sources sources;
  sources.server = &server_;
  sources.tally = &tally_;
  sources.has_leader = [this] { return leader_guard_.has_leader(); };
  sources.alarms = [this] {
    std::vector<std::string> names;
    for (const jetstream::Alarm& alarm : committer_.alarms().OfEtcd()) {
      names.emplace_back(NameOf(alarm.type));
    }
    return names;
  };
  if (config_.quota_backend_bytes != revision::Quota::kNone) {
    sources.quota_bytes = static_cast<int64_t>(config_.quota_backend_bytes);
  }
  if (group_sync_ != nullptr) sources.syncs = [this] { return group_sync_->syncs(); };
  if (embedded_ != nullptr) sources.files_doubted = [this] { return log_.files_doubted(); };
  // An outside NATS needs no data folder: one that is there is meant to be used.
  if (embedded_ != nullptr || access(config_.data_dir.c_str(), W_OK) == 0) {
    sources.usage_root = Cat(config_.data_dir, "/usage");
  }
  pages_.emplace(&engine_, std::move(sources));
  loop_.AddRoundHook([this] { pages_->LookAtUsage(); });
}

void Program::KeepValuesInFiles(const char* folder_in_data_dir, revision::Store* store) const {
  const std::string folder = Cat(config_.data_dir, folder_in_data_dir);
  const bool keep = !CheckpointPath().empty();
  std::error_code ignored;  // what is not there then is told below
  if (config_.value_cache_bytes.has_value()) {
    std::filesystem::create_directories(config_.data_dir, ignored);
  } else if (embedded_ == nullptr || !std::filesystem::exists(folder, ignored)) {
    return;
  }
  auto files = revision::ValueFiles::Open({.folder = folder, .keep = keep});
  // What a start with other flags left is of no use, and would lie there for ever.
  if (files.ok() && !keep) (void)revision::RemoveCheckpoint(Cat(folder, "/checkpoint"));
  if (!config_.value_cache_bytes.has_value()) return;
  if (!files.ok()) {
    log::Warn("all values stay in memory: {}", MessageOf(files.status()));
    return;
  }
  revision::ValueCache::Options options{.budget_bytes = *config_.value_cache_bytes};
  // Who wants none in memory wants the small ones out too.
  if (options.budget_bytes == 0) options.min_value_bytes = 1;
  store->UseValueFiles(*std::move(files), options);
}

jetstream::NatsLogOptions Program::LogOptions() const {
  const NatsConfig& nats = config_.nats;
  jetstream::NatsLogOptions options;
  options.stream = {.bucket = nats.bucket, .replicas = nats.replicas};
  options.domain = nats.domain;
  options.client_name = Cat("jetd/", nats.bucket, "/", config_.name);
  if (embedded_ != nullptr) {
    options.endpoint = [this] { return embedded_->endpoint(); };
    options.exclusive = true;
    options.durability = group_sync_.get();
    options.stream_folder = embedded_->StreamFolder(nats.bucket);
    options.look_early = access(CheckpointPath().c_str(), F_OK) != 0;
    options.disk_room = [this](uint64_t bytes) { return embedded_->RoomFor(bytes); };
    options.min_minor_version = jetstream::EmbeddedServer::kMinMinorVersion;
    return options;
  }
  options.messenger = messenger_.get();
  options.other_servers = nats.urls.size() > 1;
  options.endpoint = jetstream::RotateEndpoints(nats.urls, CredentialsOf(nats));
  return options;
}

revision::Committer::Options Program::CommitterOptions() const {
  revision::Committer::Options options;
  options.member_id = MemberId(config_);
  options.member_name = config_.name;
  options.client_urls = config_.advertise_client_urls;
  options.incarnation = RandomId();
  options.checkpoint_path = CheckpointPath();
  options.quota = revision::Quota::Options{.backend_bytes = config_.quota_backend_bytes};
  options.peers = peers_.get();
  options.mirror_audit.interval = config_.mirror_audit_interval;
  options.make_store = [this] {
    auto store = std::make_unique<revision::Store>();
    KeepValuesInFiles("/values-anew", store.get());
    return store;
  };
  return options;
}

// Beside the value files. With an outside NATS others may write what only a whole replay sees.
std::string Program::CheckpointPath() const {
  if (embedded_ == nullptr || !config_.value_cache_bytes.has_value()) return {};
  return Cat(config_.data_dir, "/values/checkpoint");
}

void Program::OnEngine(const std::function<void()>& fn) {
  Alarm done;
  loop_.Post([&] {
    fn();
    done.Ring();
  });
  done.Wait();
}

void Program::StartEngine() {
  engine_thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "engine");
    loop_.Run();
  });
  loop_.Post(
      [this] { committer_.Start([this](const absl::Status& why) { lookout_.Fatal(why); }); });
  // Before anything is served: probes hear what the start waits for.
  http_->Start(pages_->handler());
  const std::vector<ListenUrl> urls = config_.http_urls();
  for (size_t i = 0; i < urls.size(); ++i) {
    log::Info("serving metrics on {} (port {})", urls[i].text, http_->port(i));
  }
}

absl::Status Program::StartServer() {
  BindKv(&engine_, config_.limits, &server_);
  BindWatch(&engine_, &server_);
  BindLease(&engine_, &server_);
  BindMaintenance(&engine_, &server_);
  BindCluster(&engine_, &server_);
  BindUnsupported(&engine_, &server_);
  BindHealth(&server_);
  BindReflection(&server_);
  return server_.Start();
}

void Program::Compact(Revision revision, const AutoCompactor::DoneFn& done) {
  // Each member keeps the time, the one that leads compacts.
  if (committer_.elsewhere()) {
    loop_.Defer([done] { done(absl::OkStatus()); });
    return;
  }
  committer_.Compact(revision, revision::Committer::Wait::kLogical,
                     [done](const absl::StatusOr<Revision>& answer) { done(answer.status()); });
}

// Calls that only the leader can serve go to it, and come from others while this member leads.
void Program::ServeOthers() {
  forwarder_ = std::make_unique<Forwarder>(
      &loop_, &committer_, peers_.get(), engine_.member_id,
      [this](const std::string& method, const std::string& request, Forwarder::DoneFn done) {
        server_.RunRemote(method, request, std::move(done));
      });
  engine_.peers = peers_.get();
  engine_.forwarder = forwarder_.get();
  server_.UseForwarder(forwarder_.get());
  peers_->set_call_handler([this](std::string_view method, std::string_view request,
                                  const revision::Peers::CallDone& done) {
    server_.RunRemote(std::string(method), std::string(request),
                      [done](const rpc::Status& status, const std::string& answer) {
                        done({static_cast<int>(status.code()), status.message(), answer});
                      });
  });
}

// Another member leads at once, if there is one, instead of finding out that nobody does.
void Program::HandOver() {
  Alarm done;
  loop_.Post([this, &done] {
    committer_.HandOver(0, [&done](const absl::Status& /*status*/) { done.Ring(); });
  });
  done.Wait();
}

void Program::TellReady() const {
  std::string urls;
  for (const ListenUrl& url : config_.listen_client_urls) {
    CatTo(urls, urls.empty() ? "" : ", ", url.text);
  }
  log::Info("ready to serve client requests on {}{}{}{}", log::As("urls", urls),
            log::Also("member", config_.name), log::Also("bucket", config_.nats.bucket),
            log::Event("ready"));
  TellServiceManager(kNoticeReady);
  // tools/run names the etcdctl that it has put aside.
  const char* etcdctl = std::getenv("JETD_ETCDCTL");
  const std::string command = FirstCommand(config_, etcdctl != nullptr ? etcdctl : "");
  if (isatty(STDERR_FILENO) != 0 && !command.empty()) {
    std::fprintf(stderr, "\nTry, in another terminal:\n  %s\n\n", command.c_str());
  }
}

// Clients first, while the engine can still answer them; then the engine.
void Program::Stop() {
  constexpr std::chrono::seconds kPatience{2};
  if (peers_ != nullptr) HandOver();
  // What NATS does not answer in time, the committer does.
  loop_.Post([this, kPatience] { loop_.RunAfter(kPatience, [this] { committer_.Stop(); }); });
  http_->Stop();
  server_.Stop();
  OnEngine([this] {
    committer_.Stop();
    pages_->SaveUsage();
    if (auto status = committer_.SaveCheckpoint(); !status.ok()) {
      log::Warn("the next start reads all from the stream: {}", MessageOf(status));
    }
  });
  loop_.Stop();
  engine_thread_.join();
}

int Program::Run() {
  CatchSignals(&alarm_);
  StartEngine();
  int exit_code = kExitOk;
  bool serving = false;
  while (caught_signal.load() == 0) {
    absl::Status failed = lookout_.fatal();
    if (failed.ok() && lookout_.ready() && !serving) {
      failed = StartServer();
      serving = true;
      if (failed.ok()) {
        loop_.Post([this] { auto_compactor_.Start(); });
        TellReady();
      }
    }
    if (!failed.ok()) {
      log::Error("ending: {}{}", log::As("reason", MessageOf(failed)), log::Event("ending"));
      exit_code = kExitFailed;
      break;
    }
    alarm_.Wait();
  }
  if (exit_code == kExitOk) {
    const int number = caught_signal.load();
    log::Info("ending: signal {} ({}){}", log::As("signal", number), strsignal(number),
              log::Event("ending"));
  }
  // A second signal ends the process at once.
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  TellServiceManager(kNoticeStopping);
  Stop();
  return exit_code;
}

absl::StatusOr<std::unique_ptr<jetstream::EmbeddedServer>> StartEmbedded(const Config& config) {
  if (!config.nats.urls.empty()) return nullptr;
  if (auto status = CheckNoEtcdFiles(config.data_dir); !status.ok()) return status;
  auto program = jetstream::FindNatsServer(config.nats.server_path);
  if (!program.ok()) return program.status();
  jetstream::EmbeddedServer::Options options;
  options.program = *std::move(program);
  options.data_dir = config.data_dir;
  return jetstream::EmbeddedServer::Start(std::move(options));
}

int Main(int argc, char** argv) {
  ParsedFlags flags = ParseFlags(std::vector<std::string>(argv + 1, argv + argc));
  HideSecrets(argc, argv);
  if (!flags.config.has_value()) {
    std::fputs(flags.output.c_str(), stdout);
    if (!flags.error.empty()) std::fprintf(stderr, "jetd: %s\n", flags.error.c_str());
    return flags.exit_code;
  }
  log::Init(flags.config->log);
  for (const std::string& warning : flags.config->warnings) log::Warn("{}", warning);
  const auto refuse = [](const absl::Status& why) {
    log::Error("{}", MessageOf(why));
    return kExitFailed;
  };
  // Before NATS is touched: a start that fails must not take the lead from the member that serves.
  auto listeners = PrepareListeners(flags.config->listen_client_urls, flags.config->tls);
  if (!listeners.ok()) return refuse(listeners.status());
  const absl::Status nats_files = CheckNatsFiles(flags.config->nats);
  if (!nats_files.ok()) return refuse(nats_files);
  auto http = HttpServer::Listen({.urls = flags.config->http_urls(), .tls = flags.config->tls});
  if (!http.ok()) return refuse(http.status());
  auto embedded = StartEmbedded(*flags.config);
  if (!embedded.ok()) return refuse(embedded.status());
  Program program(*std::move(flags.config), *std::move(listeners), *std::move(embedded),
                  *std::move(http));
  return program.Run();
}

}  // namespace
}  // namespace jetd::etcdapi

int main(int argc, char** argv) { return jetd::etcdapi::Main(argc, argv); }
