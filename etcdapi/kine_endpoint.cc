// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/kine_endpoint.h"

#include <event2/http.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/time/time.h"
#include "base/nearest_name.h"
#include "base/pem_files.h"
#include "base/strings.h"
#include "etcdapi/raw_flags.h"
#include "etcdapi/url_query.h"
#include "jetstream/stream_setup.h"
#include "nlohmann/json.hpp"

namespace jetd::etcdapi {
namespace {

constexpr std::string_view kDefaultBucket = "kine";
constexpr int kNatsPort = 4222;

template <typename... Pieces>
absl::Status Invalid(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, pieces...);
}

struct FreeUri {
  void operator()(evhttp_uri* uri) const { evhttp_uri_free(uri); }
};
using Uri = std::unique_ptr<evhttp_uri, FreeUri>;

std::string TextOf(const char* text) { return text == nullptr ? "" : text; }

// What the parameters behind the first URL say.
struct Parameters {
  std::string bucket{kDefaultBucket};
  std::string replicas, slow_method, creds_file, context_file;
  bool no_embed = false, dont_listen = false;
};

constexpr std::array kNames = {"bucket",       "replicas",    "revHistory",   "slowMethod",
                               "credsFile",    "contextFile", "noEmbed",      "dontListen",
                               "serverConfig", "dataDir",     "stdoutLogging"};

absl::Status RefuseParameter(const std::string& name) {
  if (name == "serverConfig") {
    return Invalid(
        "serverConfig is for kine's own nats-server; jetd configures its one itself. Run a "
        "nats-server with that file and write its address");
  }
  if (name == "dataDir") {
    return Invalid(
        "dataDir is the store of kine's own nats-server, which jetd does not take over; give "
        "--data-dir with a folder for jetd (jetctl import takes over what a kine on it serves)");
  }
  const std::string nearest =
      NearestName(name, std::vector<std::string>(kNames.begin(), kNames.end()));
  return Invalid("\"", name, "\" is no parameter of kine's NATS endpoint",
                 nearest.empty() ? std::string() : Cat("; did you mean ", nearest, "?"));
}

absl::StatusOr<Parameters> ReadParameters(const evhttp_uri* uri, KineEndpoint* out) {
  Parameters read;
  for (const auto& [name, value] : QueryOf(evhttp_uri_get_query(uri))) {
    if (name == "bucket") {
      if (!value.empty()) read.bucket = value;
    } else if (name == "replicas") {
      read.replicas = value;
    } else if (name == "slowMethod") {
      read.slow_method = value;
    } else if (name == "credsFile") {
      read.creds_file = value;
    } else if (name == "contextFile") {
      read.context_file = value;
    } else if (name == "noEmbed") {
      read.no_embed = true;
    } else if (name == "dontListen") {
      read.dont_listen = true;
      out->warnings.emplace_back(
          "dontListen has no effect: jetd's own nats-server takes connections from this machine "
          "only, by a secret");
    } else if (name == "stdoutLogging") {
      out->warnings.emplace_back(
          "stdoutLogging has no effect: the log of jetd's own nats-server is in the data folder");
    } else if (name == "revHistory") {
      out->warnings.emplace_back(
          "revHistory has no effect: jetd keeps every revision until it is compacted");
    } else {
      return RefuseParameter(name);
    }
  }
  return read;
}

absl::Status Check(const Parameters& read) {
  if (!jetstream::IsBucketName(read.bucket)) {
    return Invalid("bucket \"", read.bucket, "\" takes letters, digits, - and _ only");
  }
  if (!read.replicas.empty() && read.replicas != "1" && read.replicas != "3" &&
      read.replicas != "5") {
    return Invalid("replicas \"", read.replicas, "\" is none of 1, 3 or 5");
  }
  absl::Duration slow;
  if (!read.slow_method.empty() && !absl::ParseDuration(read.slow_method, &slow)) {
    return Invalid("slowMethod \"", read.slow_method, "\" is no time; write 500ms or 2s");
  }
  return absl::OkStatus();
}

// "nats://n1:4222" for each URL, "" for one without a host. The user of the first is everybody's.
absl::StatusOr<std::vector<std::string>> ReadHosts(const std::vector<std::string>& urls,
                                                   KineEndpoint* out) {
  std::vector<std::string> hosts;
  for (const std::string& text : urls) {
    const Uri uri(evhttp_uri_parse(text.c_str()));
    if (uri == nullptr) {
      return Invalid("URL number ", hosts.size() + 1,
                     " is none; a user and a password in it must be percent-encoded");
    }
    const std::string scheme = TextOf(evhttp_uri_get_scheme(uri.get()));
    if (scheme != "nats" && scheme != "tls" && scheme != "jetstream") {
      return Invalid("URL number ", hosts.size() + 1, " must start with nats://");
    }
    if (!hosts.empty() && evhttp_uri_get_query(uri.get()) != nullptr) {
      return Invalid("parameters stand behind the first URL, kine takes no others");
    }
    const std::string user = TextOf(evhttp_uri_get_userinfo(uri.get()));
    if (!hosts.empty() && !user.empty()) {
      return Invalid("the user stands in the first URL, kine takes no other");
    }
    if (!user.empty()) {
      const size_t colon = user.find(':');
      if (colon == user.npos) {
        out->token = Decoded(user, Plus::kItself);
      } else {
        out->user = Decoded(user.substr(0, colon), Plus::kItself);
        out->password = Decoded(user.substr(colon + 1), Plus::kItself);
      }
    }
    const std::string host = TextOf(evhttp_uri_get_host(uri.get()));
    const int port = evhttp_uri_get_port(uri.get());
    const bool none = host.empty() && port < 0;
    hosts.push_back(none
                        ? ""
                        : Cat(scheme == "tls" ? "tls://" : "nats://",
                              host.empty() ? "127.0.0.1" : host, ":", port < 0 ? kNatsPort : port));
  }
  return hosts;
}

bool SaysNothing(const nlohmann::json& member) {
  return member.is_null() || (member.is_string() && member.get_ref<const std::string&>().empty()) ||
         (member.is_boolean() && !member.get<bool>());
}

// A context of NATS's tools, in JSON. Each member that says how to connect has its flag; what jetd
// cannot do is refused.
absl::StatusOr<std::vector<std::string>> ReadContext(const std::string& path, KineEndpoint* out) {
  const auto text = ReadWholeFile(path);
  if (!text.ok()) return Invalid("contextFile: ", MessageOf(text.status()));
  const auto json = nlohmann::json::parse(*text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Invalid("contextFile: ", path, " holds no JSON object");
  std::vector<std::string> urls = {Cat("nats://127.0.0.1:", kNatsPort)};
  for (const auto& [name, member] : json.items()) {
    if (SaysNothing(member)) continue;
    if (name == "description" || name == "color_scheme" || name == "jetstream_event_prefix") {
      continue;
    }
    if (!member.is_string()) return Invalid("contextFile: jetd does not take ", name);
    std::string value = member.get<std::string>();
    static constexpr std::pair<std::string_view, std::string_view> kFiles[] = {
        {"creds", "creds"},
        {"nkey", "nkey"},
        {"cert", "cert-file"},
        {"key", "key-file"},
        {"ca", "ca-file"}};
    const auto* const file =
        std::find_if(std::begin(kFiles), std::end(kFiles),
                     [&name = name](const auto& f) { return f.first == name; });
    const char* home = std::getenv("HOME");
    if (file != std::end(kFiles)) {
      if (value.starts_with("~/") && home != nullptr) value = Cat(home, value.substr(1));
      out->arguments.push_back(Cat("--nats-", file->second, "=", value));
    } else if (name == "url") {
      urls = SplitCommas(value);
    } else if (name == "user") {
      out->user = value;
    } else if (name == "password") {
      out->password = value;
    } else if (name == "token") {
      out->token = value;
    } else if (name == "jetstream_domain") {
      out->arguments.push_back(Cat("--nats-domain=", value));
    } else {
      return Invalid("contextFile: jetd does not take ", name);
    }
  }
  return urls;
}

}  // namespace

absl::StatusOr<KineEndpoint> ReadKineEndpoint(const std::string& text) {
  const std::vector<std::string> urls = SplitCommas(text);
  const std::string first = urls.empty() ? "" : urls[0];
  if (!first.starts_with("nats://") && !first.starts_with("jetstream://")) {
    return Invalid(
        "jetd keeps its records in NATS, so it must start with nats://; what another store of "
        "kine's holds comes along by jetctl import, from the kine that serves it");
  }
  KineEndpoint out;
  auto hosts = ReadHosts(urls, &out);
  if (!hosts.ok()) return hosts.status();
  const Uri uri(evhttp_uri_parse(first.c_str()));
  const auto parameters = ReadParameters(uri.get(), &out);
  if (!parameters.ok()) return parameters.status();
  if (absl::Status status = Check(*parameters); !status.ok()) return status;
  const bool named = std::any_of(hosts->begin(), hosts->end(),
                                 [](const std::string& host) { return !host.empty(); });
  if (!parameters->context_file.empty()) {
    if (named) return Invalid("with a contextFile there is no host: the file names it");
    auto of_context = ReadContext(parameters->context_file, &out);
    if (!of_context.ok()) return of_context.status();
    hosts = ReadHosts(*of_context, &out);
    if (!hosts.ok()) return Invalid("contextFile: ", MessageOf(hosts.status()));
  }
  const bool outside = named || parameters->no_embed || !parameters->context_file.empty() ||
                       first.starts_with("jetstream://");
  if (!outside && !Cat(out.user, out.token).empty()) {
    return Invalid("it names a user and no host; jetd's own nats-server takes none");
  }
  if (outside && parameters->dont_listen) {
    return Invalid("dontListen is for kine's own nats-server, the rest for one that runs already");
  }
  if (outside) {
    std::string list;
    for (const std::string& host : *hosts) {
      CatTo(list, list.empty() ? "" : ",",
            host.empty() ? Cat("nats://127.0.0.1:", kNatsPort) : host);
    }
    out.arguments.push_back(Cat("--nats-url=", list));
  } else {
    out.warnings.emplace_back(
        "it has no host: jetd runs a nats-server of its own with its store in --data-dir; what "
        "kine's one held is not in it");
  }
  out.arguments.push_back(Cat("--bucket=", parameters->bucket));
  if (!parameters->replicas.empty()) {
    out.arguments.push_back(Cat("--nats-replicas=", parameters->replicas));
  }
  if (!parameters->creds_file.empty()) {
    out.arguments.push_back(Cat("--nats-creds=", parameters->creds_file));
  }
  if (!parameters->slow_method.empty()) {
    out.arguments.push_back(
        Cat("--experimental-warning-unary-request-duration=", parameters->slow_method));
  }
  return out;
}

}  // namespace jetd::etcdapi
