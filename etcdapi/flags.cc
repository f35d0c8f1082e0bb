// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/flags.h"

#include <algorithm>
#include <cctype>
#include <memory>
#include <utility>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "base/argument_secrets.h"
#include "base/nearest_name.h"
#include "base/strings.h"
#include "etcdapi/foreign_flags.h"
#include "etcdapi/kine_flags.h"
#include "etcdapi/maintenance_service.h"
#include "etcdapi/raw_flags.h"
#include "etcdapi/variables.h"

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
    "  jetd --endpoint 'nats://n1:4222?bucket=tenant' --listen-address unix:///run/kine.sock\n"
    "      in kine's place: its flags are understood, and its variables (KINE_ENDPOINT)\n"
    "  etcdctl --endpoints http://127.0.0.1:2379 put greeting hello\n"
    "      from another terminal\n";

// Names and defaults only: that each flag has a variable is said once, at the end.
class HelpFormatter final : public CLI::Formatter {
 public:
  [[nodiscard]] std::string make_option_opts(const CLI::Option* option) const override {
    const std::string& text = option->get_default_str();
    return text.empty() ? std::string() : Cat(" (", text, ")");
  }
};

template <typename T>
CLI::Option* Add(CLI::App* app, const std::string& group, const std::string& name, T* value,
                 const std::string& help) {
  return app->add_option(Cat("--", name), *value, help)
      ->take_last()
      ->group(group)
      ->capture_default_str();
}

void AddMemberFlags(CLI::App* app, RawFlags* raw) {
  const std::string group = "Member";
  Config& c = raw->config;
  Add(app, group, "name", &c.name, "Name of this member");
  Add(app, group, "data-dir", &c.data_dir, "Folder of the embedded nats-server [NAME.jetd]");
  Add(app, group, "listen-client-urls", &raw->listen_client_urls,
      "Where clients connect: http://, https://, unix:// or unixs://, comma-separated");
  Add(app, group, "advertise-client-urls", &raw->advertise_client_urls,
      "What member list tells clients [the listen URLs]");
  Add(app, group, "listen-metrics-urls", &raw->listen_metrics_urls,
      "Where /metrics, /health, /livez, /readyz and /version are served: http:// or https:// URLs "
      "[nowhere]");
  Add(app, group, "listen-client-http-urls", &raw->listen_client_http_urls,
      "Where clients' HTTP/1.1 is served, instead of --listen-client-urls [there]");
  Add(app, group, "metrics", &raw->metrics,
      "basic, or extensive: /metrics says how long calls take, too");
  Add(app, group, "max-request-bytes", &raw->max_request_bytes, "Largest request that writes");
  Add(app, group, "max-txn-ops", &raw->max_txn_ops, "Most operations in a transaction");
  Add(app, group, "grpc-keepalive-min-time", &raw->keepalive_min_time,
      "Clients may ping this often");
  Add(app, group, "grpc-keepalive-interval", &raw->keepalive_interval,
      "A silent client is pinged after this");
  Add(app, group, "grpc-keepalive-timeout", &raw->keepalive_timeout,
      "and its connection closed after this");
  Add(app, group, "watch-progress-notify-interval", &raw->progress_interval,
      "How often idle watches that asked for it are told the revision [10m]");
  // The only spelling of etcd 3.5, which kubeadm writes. The one above counts if both are given.
  app->add_option("--experimental-watch-progress-notify-interval",
                  raw->experimental_progress_interval, "")
      ->take_last()
      ->group("");
  Add(app, group, "auto-compaction-mode", &raw->compaction_mode, "periodic or revision");
  Add(app, group, "auto-compaction-retention", &raw->compaction_retention,
      "What is kept: a time (periodic; a bare number is hours) or a number of revisions; 0: all");
  Add(app, group, "quota-backend-bytes", &raw->quota_backend_bytes,
      "Size of the store at which puts are refused and the alarm NOSPACE rises; 0: 2 GiB, "
      "negative: "
      "none");
  Add(app, group, "value-cache-bytes", &raw->value_cache_bytes,
      "Memory for values, in bytes; those beyond it are read from files in --data-dir. \"all\": no "
      "files [48 MiB; all with --nats-url]");
}

void AddSecurityFlags(CLI::App* app, RawFlags* raw) {
  const std::string group = "Security";
  TlsFiles& tls = raw->config.tls;
  Add(app, group, "cert-file", &tls.cert_file, "Server certificate, PEM");
  Add(app, group, "key-file", &tls.key_file, "Its key, PEM");
  Add(app, group, "trusted-ca-file", &tls.trusted_ca_file,
      "CA of clients' certificates, PEM; clients must show one");
  app->add_flag("--client-cert-auth", raw->client_cert_auth,
                "Clients must show a certificate of that CA")
      ->take_last()
      ->group(group);
  Add(app, group, "client-crl-file", &tls.crl_file,
      "Revoked certificates of clients, PEM or DER; a changed file counts within a second");
  Add(app, group, "client-cert-allowed-hostname", &raw->allowed_hostnames,
      "Clients must have one of these names (DNS or IP) in their certificate, comma-separated");
  Add(app, group, "client-cert-allowed-cn", &raw->allowed_cns,
      "Clients must have one of these common names, comma-separated");
  Add(app, group, "tls-min-version", &raw->tls_min_version, "TLS1.2 or TLS1.3");
  Add(app, group, "tls-max-version", &raw->tls_max_version, "TLS1.2 or TLS1.3 [the newest]");
  Add(app, group, "cipher-suites", &raw->cipher_suites,
      "Ciphers of TLS 1.2, comma-separated, by their IANA names [the library's]");
}

void AddNatsFlags(CLI::App* app, RawFlags* raw) {
  const std::string group = "NATS";
  NatsConfig& nats = raw->config.nats;
  Add(app, group, "nats-url", &raw->nats_urls,
      "nats:// or tls:// URLs of a JetStream server, comma-separated [an embedded one]");
  Add(app, group, "bucket", &nats.bucket, "KV bucket of this tenant; made if it is not there");
  Add(app, group, "nats-creds", &nats.creds_file,
      "Credentials file (JWT and seed, or a seed alone)");
  Add(app, group, "nats-nkey", &nats.nkey_file, "File with a user's NKey seed");
  Add(app, group, "nats-token-file", &nats.token_file, "File with a token");
  Add(app, group, "nats-ca-file", &nats.ca_file, "CA of the NATS servers, PEM");
  Add(app, group, "nats-cert-file", &nats.cert_file, "Client certificate for NATS, PEM");
  Add(app, group, "nats-key-file", &nats.key_file, "Its key, PEM");
  Add(app, group, "nats-domain", &nats.domain, "JetStream domain");
  Add(app, group, "nats-replicas", &raw->nats_replicas,
      "Replicas of a bucket that is made: 1, 3 or 5");
  Add(app, group, "mirror-audit-interval", &raw->mirror_audit_interval,
      "How often what came is compared with what mirrors of the bucket have; 0: never");
  Add(app, group, "nats-server", &nats.server_path,
      "Program of the embedded nats-server [found in PATH]");
}

void AddLogFlags(CLI::App* app, RawFlags* raw) {
  const std::string group = "Log";
  Add(app, group, "log-level", &raw->log_level, "debug, info, warn or error");
  Add(app, group, "log-format", &raw->log_format, "text or json");
  Add(app, group, "warning-unary-request-duration", &raw->slow_request,
      "Requests that take as long are named in the log, with what they waited for; 0: none "
      "[300ms]");
  // etcd 3.5 has only this spelling.
  app->add_option("--experimental-warning-unary-request-duration", raw->experimental_slow_request,
                  "")
      ->take_last()
      ->group("");
}

std::vector<std::string> KnownNames(const CLI::App& app) {
  std::vector<std::string> names = ForeignFlagNames();
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back(name);
  }
  return names;
}

// The flag that has no value: CLI11 would take the next flag for it, and say less. Empty if none.
std::string FlagWithoutValue(const CLI::App& app, const std::vector<std::string>& arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const size_t equals = argument.find('=');
    const CLI::Option* option = app.get_option_no_throw(argument.substr(0, equals));
    if (option == nullptr || option->get_expected_min() == 0) continue;
    if (equals != argument.npos) {
      if (equals + 1 == argument.size()) return argument.substr(0, equals);
    } else if (++i == arguments.size() || arguments[i].starts_with("--")) {
      return argument;
    }
  }
  return "";
}

// What CLI11 did not understand, as one line.
std::string Explain(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<std::string> extras = app.remaining();
  if (extras.empty()) return error.what();
  const std::string& first = extras.front();
  if (!first.starts_with("-")) {
    return Cat("\"", first, "\" is not a flag; jetd takes flags only, see jetd --help");
  }
  const std::string name = first.substr(std::min(first.find_first_not_of('-'), first.size()));
  std::vector<std::string> names = KnownNames(app);
  for (std::string& kines : KineFlagNames()) names.push_back(std::move(kines));
  const std::string nearest = NearestName(name.substr(0, name.find('=')), names);
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

ParsedFlags ParseFlags(const std::vector<std::string>& given) {
  const std::vector<std::string> on_line = WithTwoDashes(given);
  RawFlags raw;
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
  const auto wrong = [&on_line](std::string_view text) {
    return UsageError(AboutItsSource(std::string(text), on_line));
  };
  Variables variables = ReadVariables(KnownNames(app));
  const auto kine = TakeKineFlags(on_line);
  if (!kine.ok()) return UsageError(std::string(MessageOf(kine.status())));
  std::vector<std::string> arguments = std::move(variables.arguments);
  arguments.insert(arguments.end(), kine->arguments.begin(), kine->arguments.end());
  auto foreign = TakeForeignFlags(arguments);
  if (!foreign.ok()) return wrong(MessageOf(foreign.status()));
  const std::string lacking = FlagWithoutValue(app, foreign->rest);
  if (!lacking.empty()) {
    return wrong(Cat(lacking, " needs a value: ", lacking, "=VALUE; see jetd --help"));
  }
  try {
    // CLI11 takes them from the back.
    std::vector<std::string> reversed(foreign->rest.rbegin(), foreign->rest.rend());
    app.parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    return {.output = app.help()};
  } catch (const CLI::CallForVersion& version) {
    return {.output = Cat(version.what(), "\n")};
  } catch (const CLI::ParseError& error) {
    return wrong(Explain(app, error));
  }
  raw.config.nats.user = kine->user;
  raw.config.nats.password = kine->password;
  raw.config.nats.token = kine->token;
  auto config = ReadConfig(raw);
  if (!config.ok()) return wrong(MessageOf(config.status()));
  for (ListenUrl& url : config->listen_client_urls) url.owner_only = kine->owner_only_sockets;
  std::vector<std::string> warnings = WarnOfSecrets(on_line);
  warnings.insert(warnings.end(), kine->warnings.begin(), kine->warnings.end());
  warnings.insert(warnings.end(), foreign->warnings.begin(), foreign->warnings.end());
  // A variable may be set for another start, as tools/run does it.
  if (!config->nats.urls.empty() && IsGiven("--nats-server", on_line)) {
    warnings.emplace_back("--nats-server has no effect: jetd uses the server of --nats-url");
  }
  for (auto* more : {&variables.warnings, &config->warnings}) {
    warnings.insert(warnings.end(), more->begin(), more->end());
  }
  config->warnings.clear();
  for (std::string& warning : warnings) {
    config->warnings.push_back(AboutItsSource(std::move(warning), on_line));
  }
  return {.config = *std::move(config)};
}

}  // namespace jetd::etcdapi
