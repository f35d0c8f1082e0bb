// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/flags.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <memory>
#include <numeric>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "absl/time/time.h"
#include "base/strings.h"
#include "etcdapi/foreign_flags.h"
#include "etcdapi/maintenance_service.h"
#include "jetstream/stream_setup.h"

namespace jetd::etcdapi {
namespace {

constexpr char kJetdVersion[] = JETD_VERSION;

constexpr char kIntro[] =
    "jetd is an etcd v3 server whose storage is a NATS JetStream stream.\n"
    "Without --nats-url it runs a nats-server of its own, with its store in --data-dir.";

constexpr char kExamples[] =
    "Every flag can be given as a variable too: JETD_DATA_DIR for --data-dir.\n"
    "\n"
    "Examples:\n"
    "  jetd\n"
    "      serves http://127.0.0.1:2379, store in ./default.jetd\n"
    "  jetd --data-dir /var/lib/jetd --listen-client-urls https://0.0.0.0:2379 \\\n"
    "       --cert-file server.crt --key-file server.key --trusted-ca-file ca.crt "
    "--client-cert-auth\n"
    "      the same for other machines, by certificate\n"
    "  jetd --nats-url nats://n1:4222,nats://n2:4222 --nats-creds tenant.creds --bucket tenant\n"
    "      on a NATS cluster that is there already\n"
    "  etcdctl --endpoints http://127.0.0.1:2379 put greeting hello\n"
    "      from another terminal\n";

// What CLI11 fills in, as text where it takes more than CLI11 to read.
struct Raw {
  Config config;
  std::string listen_client_urls = "http://127.0.0.1:2379";
  std::string advertise_client_urls, listen_metrics_urls, nats_urls;
  std::string keepalive_min_time = "5s", keepalive_interval = "2h", keepalive_timeout = "20s";
  std::string progress_interval = "10m";
  std::string compaction_mode = "periodic", compaction_retention = "0";
  std::string log_level = "info", log_format = "text";
};

// Names and defaults only: that each flag has a variable is said once, at the end.
class HelpFormatter final : public CLI::Formatter {
 public:
  [[nodiscard]] std::string make_option_opts(const CLI::Option* option) const override {
    const std::string& text = option->get_default_str();
    return text.empty() ? std::string() : Cat(" (", text, ")");
  }
};

template <typename... Pieces>
absl::Status Invalid(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, pieces...);
}

std::string VariableOf(const std::string& flag) {
  std::string name = Cat("JETD_", flag);
  for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
  return name;
}

std::vector<std::string> SplitCommas(const std::string& text) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find(',', begin), text.size());
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

template <typename T>
CLI::Option* Add(CLI::App* app, const std::string& group, const std::string& name, T* value,
                 const std::string& help) {
  return app->add_option(Cat("--", name), *value, help)
      ->envname(VariableOf(name))
      ->group(group)
      ->capture_default_str();
}

void AddMemberFlags(CLI::App* app, Raw* raw) {
  const std::string group = "Member";
  Config& c = raw->config;
  Add(app, group, "name", &c.name, "Name of this member");
  Add(app, group, "data-dir", &c.data_dir, "Folder of the embedded nats-server [NAME.jetd]");
  Add(app, group, "listen-client-urls", &raw->listen_client_urls,
      "Where clients connect: http://, https://, unix:// or unixs://, comma-separated");
  Add(app, group, "advertise-client-urls", &raw->advertise_client_urls,
      "What member list tells clients [the listen URLs]");
  Add(app, group, "listen-metrics-urls", &raw->listen_metrics_urls,
      "Where /metrics and /health are to be served (not yet)");
  Add(app, group, "max-request-bytes", &c.limits.max_request_bytes, "Largest request that writes");
  Add(app, group, "max-txn-ops", &c.limits.max_txn_ops, "Most operations in a transaction");
  Add(app, group, "grpc-keepalive-min-time", &raw->keepalive_min_time,
      "Clients may ping this often");
  Add(app, group, "grpc-keepalive-interval", &raw->keepalive_interval,
      "A silent client is pinged after this");
  Add(app, group, "grpc-keepalive-timeout", &raw->keepalive_timeout,
      "and its connection closed after this");
  Add(app, group, "watch-progress-notify-interval", &raw->progress_interval,
      "How often idle watches that asked for it are told the revision");
  // etcd's older spelling, which kubeadm writes.
  app->add_option("--experimental-watch-progress-notify-interval", raw->progress_interval, "")
      ->group("");
  Add(app, group, "auto-compaction-mode", &raw->compaction_mode, "periodic or revision");
  Add(app, group, "auto-compaction-retention", &raw->compaction_retention,
      "What is kept: a time (periodic; a bare number is hours) or a number of revisions; 0: all");
}

void AddSecurityFlags(CLI::App* app, Raw* raw) {
  const std::string group = "Security";
  TlsFiles& tls = raw->config.tls;
  Add(app, group, "cert-file", &tls.cert_file, "Server certificate, PEM");
  Add(app, group, "key-file", &tls.key_file, "Its key, PEM");
  Add(app, group, "trusted-ca-file", &tls.trusted_ca_file, "CA of clients' certificates, PEM");
  app->add_flag("--client-cert-auth", tls.client_cert_auth,
                "Clients must show a certificate of that CA")
      ->envname(VariableOf("client-cert-auth"))
      ->group(group);
}

void AddNatsFlags(CLI::App* app, Raw* raw) {
  const std::string group = "NATS";
  NatsConfig& nats = raw->config.nats;
  Add(app, group, "nats-url", &raw->nats_urls,
      "nats:// or tls:// URLs of a JetStream server, comma-separated [an embedded one]");
  Add(app, group, "bucket", &nats.bucket, "KV bucket of this tenant; made if it is not there");
  Add(app, group, "nats-creds", &nats.creds_file, "Credentials file (JWT and seed)");
  Add(app, group, "nats-nkey", &nats.nkey_file, "File with a user's NKey seed");
  Add(app, group, "nats-ca-file", &nats.ca_file, "CA of the NATS servers, PEM");
  Add(app, group, "nats-cert-file", &nats.cert_file, "Client certificate for NATS, PEM");
  Add(app, group, "nats-key-file", &nats.key_file, "Its key, PEM");
  Add(app, group, "nats-domain", &nats.domain, "JetStream domain");
  Add(app, group, "nats-replicas", &nats.replicas, "Replicas of a bucket that is made: 1, 3 or 5");
  Add(app, group, "nats-server", &nats.server_path,
      "Program of the embedded nats-server [found in PATH]");
}

void AddLogFlags(CLI::App* app, Raw* raw) {
  const std::string group = "Log";
  Add(app, group, "log-level", &raw->log_level, "debug, info, warn or error");
  Add(app, group, "log-format", &raw->log_format, "text or json");
}

absl::StatusOr<std::vector<ListenUrl>> ParseUrls(const char* flag, const std::string& text) {
  std::vector<ListenUrl> urls;
  for (const std::string& part : SplitCommas(text)) {
    auto url = ParseListenUrl(part);
    if (!url.ok()) return Invalid("--", flag, ": ", MessageOf(url.status()));
    urls.push_back(*std::move(url));
  }
  return urls;
}

absl::Status ParseMilliseconds(const char* flag, const std::string& text,
                               std::chrono::milliseconds* out) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration) || duration < absl::ZeroDuration()) {
    return Invalid("--", flag, ": \"", text, "\" is no time; write 500ms, 10s, 5m or 2h");
  }
  *out = absl::ToChronoMilliseconds(duration);
  return absl::OkStatus();
}

// etcd's rules: in periodic mode a bare number is hours; in revision mode only a number will do.
absl::StatusOr<AutoCompaction> ParseCompaction(const Raw& raw) {
  AutoCompaction compaction;
  const std::string& text = raw.compaction_retention;
  int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_number =
      parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && number >= 0;
  if (raw.compaction_mode == "revision") {
    if (!is_number) {
      return Invalid("--auto-compaction-retention: \"", text,
                     "\" is no number of revisions, which mode revision wants");
    }
    compaction.mode = number > 0 ? AutoCompaction::Mode::kRevision : AutoCompaction::Mode::kOff;
    compaction.revisions = number;
    return compaction;
  }
  if (raw.compaction_mode != "periodic") {
    return Invalid("--auto-compaction-mode: \"", raw.compaction_mode,
                   "\" is neither periodic nor revision");
  }
  absl::Duration duration = absl::Hours(number);
  if (!is_number && (!absl::ParseDuration(text, &duration) || duration < absl::ZeroDuration())) {
    return Invalid("--auto-compaction-retention: \"", text, "\" is no time; write 30m or 8h");
  }
  compaction.period = absl::ToChronoNanoseconds(duration);
  compaction.mode =
      compaction.period.count() > 0 ? AutoCompaction::Mode::kPeriodic : AutoCompaction::Mode::kOff;
  return compaction;
}

absl::Status CheckTls(const Config& config) {
  const TlsFiles& tls = config.tls;
  if (tls.cert_file.empty() != tls.key_file.empty()) {
    return Invalid("--cert-file and --key-file go together; ",
                   tls.cert_file.empty() ? "--cert-file" : "--key-file", " is missing");
  }
  for (const ListenUrl& url : config.listen_client_urls) {
    if (url.tls && tls.cert_file.empty()) {
      return Invalid("--listen-client-urls: ", url.text,
                     " needs a certificate; give --cert-file and --key-file");
    }
  }
  if (tls.client_cert_auth && tls.trusted_ca_file.empty()) {
    return Invalid(
        "--client-cert-auth needs to know whose certificates to take; "
        "give --trusted-ca-file");
  }
  return absl::OkStatus();
}

absl::Status ReadMember(const Raw& raw, Config* c) {
  auto client_urls = ParseUrls("listen-client-urls", raw.listen_client_urls);
  if (!client_urls.ok()) return client_urls.status();
  if (client_urls->empty()) return Invalid("--listen-client-urls is empty");
  c->listen_client_urls = *std::move(client_urls);
  auto metrics_urls = ParseUrls("listen-metrics-urls", raw.listen_metrics_urls);
  if (!metrics_urls.ok()) return metrics_urls.status();
  c->listen_metrics_urls = *std::move(metrics_urls);
  if (!c->listen_metrics_urls.empty()) {
    c->warnings.emplace_back("--listen-metrics-urls has no effect: jetd does not do this yet");
  }
  c->advertise_client_urls = SplitCommas(raw.advertise_client_urls);
  if (c->advertise_client_urls.empty()) {
    for (const ListenUrl& url : c->listen_client_urls) {
      c->advertise_client_urls.push_back(url.text);
    }
  }
  if (c->name.empty()) return Invalid("--name is empty");
  if (c->data_dir.empty()) c->data_dir = Cat(c->name, ".jetd");
  if (c->limits.max_txn_ops < 1) return Invalid("--max-txn-ops must be at least 1");
  constexpr size_t kLargestRequest = 64UL << 20U;
  if (c->limits.max_request_bytes < 1 || c->limits.max_request_bytes > kLargestRequest) {
    return Invalid("--max-request-bytes must be between 1 and ", kLargestRequest);
  }
  return absl::OkStatus();
}

absl::Status ReadTimes(const Raw& raw, Config* c) {
  struct Time {
    const char* flag;
    const std::string* text;
    std::chrono::milliseconds* out;
  };
  for (const Time& time : {
           Time{"grpc-keepalive-min-time", &raw.keepalive_min_time, &c->keepalive_min_time},
           Time{"grpc-keepalive-interval", &raw.keepalive_interval, &c->keepalive_interval},
           Time{"grpc-keepalive-timeout", &raw.keepalive_timeout, &c->keepalive_timeout},
           Time{"watch-progress-notify-interval", &raw.progress_interval,
                &c->watch_progress_interval},
       }) {
    if (auto status = ParseMilliseconds(time.flag, *time.text, time.out); !status.ok()) {
      return status;
    }
  }
  if (c->watch_progress_interval < limits::kMinWatchProgressInterval) {
    c->watch_progress_interval = limits::kMinWatchProgressInterval;
    c->warnings.emplace_back("--watch-progress-notify-interval is raised to its minimum, 100ms");
  }
  return absl::OkStatus();
}

absl::Status ReadNats(const Raw& raw, Config* c) {
  NatsConfig& nats = c->nats;
  nats.urls = SplitCommas(raw.nats_urls);
  for (const std::string& url : nats.urls) {
    if (!url.starts_with("nats://") && !url.starts_with("tls://")) {
      // Not shown: it may hold a password.
      return Invalid("--nats-url: every URL must start with nats:// or tls://");
    }
  }
  if (!jetstream::IsBucketName(nats.bucket)) {
    return Invalid("--bucket: \"", nats.bucket,
                   "\" is no name of a bucket; it takes letters, digits, - and _");
  }
  if (nats.replicas != 1 && nats.replicas != 3 && nats.replicas != 5) {
    return Invalid("--nats-replicas must be 1, 3 or 5");
  }
  if (nats.urls.empty() && nats.replicas != 1) {
    return Invalid("--nats-replicas ", nats.replicas,
                   " needs a NATS cluster; give --nats-url, or leave it out");
  }
  if (nats.cert_file.empty() != nats.key_file.empty()) {
    return Invalid("--nats-cert-file and --nats-key-file go together");
  }
  return absl::OkStatus();
}

absl::Status ReadLog(const Raw& raw, Config* c) {
  const auto level = log::ParseLevel(raw.log_level);
  if (!level.ok()) return Invalid("--log-level: ", MessageOf(level.status()));
  c->log.level = *level;
  if (raw.log_format != "text" && raw.log_format != "json") {
    return Invalid("--log-format: \"", raw.log_format, "\" is neither text nor json");
  }
  c->log.format = raw.log_format == "json" ? log::Format::kJson : log::Format::kText;
  return absl::OkStatus();
}

absl::StatusOr<Config> ReadConfig(const Raw& raw) {
  Config c = raw.config;
  for (auto read : {ReadMember, ReadTimes, ReadNats, ReadLog}) {
    if (auto status = read(raw, &c); !status.ok()) return status;
  }
  auto compaction = ParseCompaction(raw);
  if (!compaction.ok()) return compaction.status();
  c.compaction = *compaction;
  if (auto status = CheckTls(c); !status.ok()) return status;
  return c;
}

std::vector<std::string> KnownNames(const CLI::App& app) {
  std::vector<std::string> names = ForeignFlagNames();
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back(name);
  }
  return names;
}

// What CLI11 did not understand, as one line.
std::string Explain(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<std::string> extras = app.remaining();
  if (extras.empty()) return error.what();
  const std::string& first = extras.front();
  if (!first.starts_with("-")) {
    return Cat("\"", first, "\" is not a flag; jetd takes flags only, see jetd --help");
  }
  const std::string name = first.substr(first.find_first_not_of('-'));
  const std::string nearest = NearestName(name.substr(0, name.find('=')), KnownNames(app));
  return Cat(
      "unknown flag ", first.substr(0, first.find('=')),
      nearest.empty() ? std::string("; see jetd --help") : Cat("; did you mean --", nearest, "?"));
}

ParsedFlags UsageError(const std::string& text) {
  ParsedFlags result;
  result.error = text;
  result.exit_code = kExitUsage;
  return result;
}

// Go's flags may be written with one dash.
std::vector<std::string> WithTwoDashes(std::vector<std::string> arguments) {
  for (std::string& argument : arguments) {
    if (argument.size() > 2 && argument[0] == '-' && std::isalpha(argument[1]) != 0) {
      argument.insert(0, "-");
    }
  }
  return arguments;
}

}  // namespace

std::string NearestName(const std::string& name, const std::vector<std::string>& candidates) {
  size_t best = 1 + name.size() / 3;  // further than this is not alike
  std::string nearest;
  for (const std::string& candidate : candidates) {
    // Levenshtein's distance, one row at a time.
    std::vector<size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 1; i <= name.size(); ++i) {
      size_t diagonal = std::exchange(row[0], i);
      for (size_t j = 1; j <= candidate.size(); ++j) {
        const size_t replaced = diagonal + (name[i - 1] == candidate[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
      }
    }
    if (row.back() < best) {
      best = row.back();
      nearest = candidate;
    }
  }
  return nearest;
}

ParsedFlags ParseFlags(const std::vector<std::string>& arguments) {
  auto foreign = TakeForeignFlags(WithTwoDashes(arguments));
  if (!foreign.ok()) return UsageError(std::string(MessageOf(foreign.status())));
  Raw raw;
  CLI::App app(kIntro, "jetd");
  app.footer(kExamples);
  app.set_help_flag("-h,--help", "Prints this");
  const auto version = [] {
    return Cat("jetd Version: ", kJetdVersion, "\netcd Version: ", kEtcdVersion);
  };
  app.set_version_flag("--version", version, "Prints the version, and the level of etcd's API");
  app.formatter(std::make_shared<HelpFormatter>());
  app.get_formatter()->column_width(40);
  AddMemberFlags(&app, &raw);
  AddSecurityFlags(&app, &raw);
  AddNatsFlags(&app, &raw);
  AddLogFlags(&app, &raw);
  try {
    // CLI11 takes them from the back.
    std::vector<std::string> reversed(foreign->rest.rbegin(), foreign->rest.rend());
    app.parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    return {.output = app.help()};
  } catch (const CLI::CallForVersion& version) {
    return {.output = Cat(version.what(), "\n")};
  } catch (const CLI::ParseError& error) {
    return UsageError(Explain(app, error));
  }
  auto config = ReadConfig(raw);
  if (!config.ok()) return UsageError(std::string(MessageOf(config.status())));
  config->warnings.insert(config->warnings.begin(), foreign->warnings.begin(),
                          foreign->warnings.end());
  return {.config = *std::move(config)};
}

}  // namespace jetd::etcdapi
