// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/kine_flags.h"

#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>

#include "base/strings.h"
#include "etcdapi/kine_endpoint.h"
#include "etcdapi/listen_url.h"
#include "etcdapi/variables.h"

namespace jetd::etcdapi {
namespace {

enum class Kind { kBool, kValue };

struct Flag {
  std::string_view name;
  Kind kind = Kind::kValue;
  // Why it means nothing here; empty: it is translated below.
  std::string_view no_effect;
  // etcd or jetd have one of that name: not enough to take a line for kine's.
  bool shared = false;
};

constexpr std::string_view kSql = "jetd keeps its records in NATS";
constexpr std::string_view kCompaction =
    "kine's NATS driver does not compact either; kube-apiserver does, and --auto-compaction-mode";

// Of kine 0.16 (pkg/app), and one from after it.
constexpr std::array kFlags = {
    Flag{.name = "endpoint"},
    Flag{.name = "listen-address"},
    Flag{.name = "metrics-bind-address"},
    Flag{.name = "metrics-ignore-tls-config", .kind = Kind::kBool},
    Flag{.name = "server-cert-file"},
    Flag{.name = "server-key-file"},
    Flag{.name = "skip-verify", .kind = Kind::kBool},
    Flag{.name = "debug", .kind = Kind::kBool, .shared = true},
    Flag{.name = "ca-file", .shared = true},
    Flag{.name = "cert-file", .shared = true},
    Flag{.name = "key-file", .shared = true},
    Flag{.name = "log-format", .shared = true},
    Flag{.name = "watch-progress-notify-interval", .shared = true},
    Flag{.name = "metrics-enable-profiling",
         .kind = Kind::kBool,
         .no_effect = "it is a tool for Go programs"},
    Flag{.name = "emulated-etcd-version", .no_effect = "jetd says the version whose API it serves"},
    Flag{.name = "datastore-max-idle-connections", .no_effect = kSql},
    Flag{.name = "datastore-max-open-connections", .no_effect = kSql},
    Flag{.name = "datastore-connection-max-lifetime", .no_effect = kSql},
    Flag{.name = "slow-sql-threshold", .no_effect = kSql},
    Flag{.name = "slow-sql-warning-threshold", .no_effect = kSql},
    Flag{.name = "poll-batch-size", .no_effect = kSql},
    Flag{.name = "identity-provider", .no_effect = kSql},
    Flag{.name = "compact-interval", .no_effect = kCompaction},
    Flag{.name = "compact-interval-jitter", .no_effect = kCompaction},
    Flag{.name = "compact-timeout", .no_effect = kCompaction},
    Flag{.name = "compact-min-retain", .no_effect = kCompaction},
    Flag{.name = "compact-batch-size", .no_effect = kCompaction},
};

const Flag* Find(std::string_view name) {
  const auto it = std::find_if(kFlags.begin(), kFlags.end(),
                               [name](const Flag& flag) { return flag.name == name; });
  return it == kFlags.end() ? nullptr : &*it;
}

std::string_view NameIn(std::string_view argument) {
  if (!argument.starts_with("--")) return {};
  argument.remove_prefix(2);
  return argument.substr(0, argument.find('='));
}

std::string VariableOfKine(std::string_view name) {
  std::string variable = Cat("KINE_", name);
  for (char& c : variable) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
  return variable;
}

struct Given {
  std::string value;
  std::string source;  // "--endpoint", or "KINE_ENDPOINT"
};
using GivenFlags = std::map<std::string_view, Given>;

template <typename... Pieces>
absl::Status Invalid(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, pieces...);
}

std::string ValueOf(const GivenFlags& given, std::string_view name) {
  const auto it = given.find(name);
  return it == given.end() ? "" : it->second.value;
}

bool IsTrue(const GivenFlags& given, std::string_view name) {
  const std::string value = ValueOf(given, name);
  return value == "true" || value == "1" || value == "t" || value == "T" || value == "TRUE" ||
         value == "True";
}

void ReadKineVariables(GivenFlags* given) {
  for (const Flag& flag : kFlags) {
    const std::string variable = VariableOfKine(flag.name);
    const char* value = std::getenv(variable.c_str());
    if (value != nullptr && *value != '\0') (*given)[flag.name] = {value, variable};
  }
}

// What is not kine's goes to `rest`.
absl::Status ReadLine(const std::vector<std::string>& on_line, GivenFlags* given,
                      std::vector<std::string>* rest) {
  for (size_t i = 0; i < on_line.size(); ++i) {
    const std::string& argument = on_line[i];
    const Flag* flag = Find(NameIn(argument));
    if (flag == nullptr) {
      rest->push_back(argument);
      continue;
    }
    const size_t equals = argument.find('=');
    Given found{.value = "true", .source = Cat("--", flag->name)};
    if (equals != argument.npos) {
      found.value = argument.substr(equals + 1);
    } else if (flag->kind == Kind::kValue) {
      if (++i == on_line.size()) {
        return Invalid(found.source, " needs a value: ", found.source, "=VALUE; see jetd --help");
      }
      found.value = on_line[i];
    }
    (*given)[flag->name] = std::move(found);
  }
  return absl::OkStatus();
}

bool IsKines(const GivenFlags& given) {
  return std::any_of(given.begin(), given.end(), [](const auto& entry) {
    return !Find(entry.first)->shared || entry.second.source.starts_with("KINE_");
  });
}

// All addresses: both kinds, where the machine has the newer one.
std::string_view AnyAddress() {
  const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return "0.0.0.0";
  close(fd);
  return "[::]";
}

// kine's "[SCHEME://]HOST:PORT" or "unix://PATH" as a URL of etcd's. All of PATH is the name of a
// file, ":2379" at its end too, as k0s has it.
std::string UrlOf(const std::string& address, bool tls) {
  const size_t separator = address.find("://");
  const std::string rest = separator == address.npos ? address : address.substr(separator + 3);
  if (address.starts_with("unix://")) return Cat(tls ? "unixs://" : "unix://", rest);
  return Cat(tls ? "https://" : "http://", rest.starts_with(":") ? AnyAddress() : "", rest);
}

absl::Status ListenWhere(const GivenFlags& given, KineFlags* out) {
  const std::string cert = ValueOf(given, "server-cert-file");
  const std::string key = ValueOf(given, "server-key-file");
  if (cert.empty() != key.empty()) {
    return Invalid("--server-cert-file and --server-key-file go together");
  }
  const bool tls = !cert.empty();
  if (tls) {
    out->arguments.push_back(Cat("--cert-file=", cert));
    out->arguments.push_back(Cat("--key-file=", key));
  }
  const std::string metrics = ValueOf(given, "metrics-bind-address");
  const bool metrics_tls = tls && !IsTrue(given, "metrics-ignore-tls-config");
  for (const auto& [name, flag, with_tls] :
       {std::tuple("listen-address", "--listen-client-urls=", tls),
        std::tuple("metrics-bind-address", "--listen-metrics-urls=", metrics_tls)}) {
    const auto it = given.find(name);
    if (it == given.end() || it->second.value.empty()) continue;
    if (it->first == "metrics-bind-address" && it->second.value == "0") continue;  // none
    const std::string url = UrlOf(it->second.value, with_tls);
    const auto parsed = ParseListenUrl(url);
    if (!parsed.ok()) return Invalid(it->second.source, ": ", MessageOf(parsed.status()));
    out->owner_only_sockets = out->owner_only_sockets || parsed->unix_socket;
    out->arguments.push_back(flag + url);
  }
  return absl::OkStatus();
}

absl::Status ConnectWhere(const GivenFlags& given, const std::vector<std::string>& rest,
                          KineFlags* out) {
  const auto endpoint = given.find("endpoint");
  if (endpoint != given.end()) {
    auto read = ReadKineEndpoint(endpoint->second.value);
    const std::string& source = endpoint->second.source;
    if (!read.ok()) return Invalid(source, ": ", MessageOf(read.status()));
    out->arguments.insert(out->arguments.end(), read->arguments.begin(), read->arguments.end());
    out->user = std::move(read->user);
    out->password = std::move(read->password);
    out->token = std::move(read->token);
    for (const std::string& warning : read->warnings) {
      out->warnings.push_back(Cat(source, ": ", warning));
    }
  }
  for (const char* const etcds :
       {"--listen-client-urls", "--trusted-ca-file", "--client-cert-auth"}) {
    for (const char* const name : {"cert-file", "key-file"}) {
      const auto it = given.find(name);
      if (it == given.end() || !IsGiven(etcds, rest)) continue;
      return Invalid(it->second.source, " is for NATS in a command line of kine's, and ", etcds,
                     " is etcd's; write --nats-", name, ", or --server-", name, " for clients");
    }
  }
  for (const char* const name : {"ca-file", "cert-file", "key-file"}) {
    const std::string value = ValueOf(given, name);
    if (!value.empty()) out->arguments.push_back(Cat("--nats-", name, "=", value));
  }
  if (IsTrue(given, "skip-verify")) {
    return Invalid(
        "--skip-verify: jetd talks to no nats-server whose certificate it cannot check; "
        "give --ca-file");
  }
  return absl::OkStatus();
}

// kine knows no members and so no flag for a name, but several may be started on one bucket, a pod
// or a machine each. An embedded store keeps the folder that the default name leads to.
void NameByHost(const std::vector<std::string>& rest, KineFlags* out) {
  const bool outside =
      std::any_of(out->arguments.begin(), out->arguments.end(),
                  [](const std::string& a) { return a.starts_with("--nats-url="); });
  if (!outside || IsGiven("--name", rest) || std::getenv("JETD_NAME") != nullptr) return;
  char host[HOST_NAME_MAX + 1] = {};
  if (gethostname(host, HOST_NAME_MAX) != 0 || host[0] == '\0') return;
  out->arguments.push_back(Cat("--name=", host));
}

void TakeTheRest(const GivenFlags& given, KineFlags* out) {
  const std::string format = ValueOf(given, "log-format");
  if (!format.empty()) {
    out->arguments.push_back(Cat("--log-format=", format == "plain" ? "text" : format));
  }
  if (IsTrue(given, "debug")) out->arguments.emplace_back("--log-level=debug");
  const std::string progress = ValueOf(given, "watch-progress-notify-interval");
  // kine's default.
  out->arguments.push_back(
      Cat("--watch-progress-notify-interval=", progress.empty() ? "5s" : progress));
  for (const auto& [name, found] : given) {
    const Flag* flag = Find(name);
    if (flag->no_effect.empty()) continue;
    out->warnings.push_back(Cat(found.source, " has no effect: ", flag->no_effect));
  }
}

}  // namespace

absl::StatusOr<KineFlags> TakeKineFlags(const std::vector<std::string>& on_line) {
  GivenFlags given;
  ReadKineVariables(&given);
  KineFlags out;
  std::vector<std::string> rest;
  if (absl::Status status = ReadLine(on_line, &given, &rest); !status.ok()) return status;
  if (!IsKines(given)) {
    out.arguments = on_line;
    return out;
  }
  if (absl::Status status = ListenWhere(given, &out); !status.ok()) return status;
  if (absl::Status status = ConnectWhere(given, rest, &out); !status.ok()) return status;
  NameByHost(rest, &out);
  TakeTheRest(given, &out);
  if (given.count("listen-address") == 0 && !IsGiven("--listen-client-urls", rest) &&
      std::getenv("JETD_LISTEN_CLIENT_URLS") == nullptr) {
    out.warnings.emplace_back(
        "--listen-address is not given: jetd takes connections from this machine only, kine from "
        "everywhere; write --listen-address=0.0.0.0:2379 if that is meant");
  }
  out.arguments.insert(out.arguments.end(), rest.begin(), rest.end());
  return out;
}

std::vector<std::string> KineFlagNames() {
  std::vector<std::string> names;
  for (const Flag& flag : kFlags) {
    if (!flag.shared) names.emplace_back(flag.name);
  }
  return names;
}

}  // namespace jetd::etcdapi
