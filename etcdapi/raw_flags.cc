// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/raw_flags.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include "absl/time/time.h"
#include "base/strings.h"
#include "etcdapi/tls_flags.h"
#include "jetstream/nats_place.h"
#include "jetstream/stream_setup.h"

namespace jetd::etcdapi {
namespace {

template <typename... Pieces>
absl::Status Invalid(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, pieces...);
}

absl::StatusOr<std::vector<ListenUrl>> ParseUrls(const char* flag, const std::string& text) {
  std::vector<ListenUrl> urls;
  for (const std::string& part : SplitCommas(text)) {
    auto url = ParseListenUrl(part);
    if (!url.ok()) return Invalid("--", flag, ": ", MessageOf(url.status()));
    url->flag = Cat("--", flag);
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
absl::StatusOr<AutoCompaction> ParseCompaction(const RawFlags& raw) {
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

absl::Status ParseNumber(const char* flag, const std::string& text, int64_t least, int64_t most,
                         int64_t* out) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), *out);
  if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && *out >= least &&
      *out <= most) {
    return absl::OkStatus();
  }
  const std::string range = most == std::numeric_limits<int>::max()
                                ? Cat("at least ", least)
                                : Cat("from ", least, " to ", most);
  return Invalid("--", flag, ": \"", text, "\" is no number that it takes: a whole one, ", range);
}

// An address that stands for all of this machine is of no use to a client.
void AdvertiseListenUrls(Config* c) {
  bool warned = false;
  for (const ListenUrl& url : c->listen_client_urls) {
    c->advertise_client_urls.push_back(UrlForClients(url));
    const std::string& told = c->advertise_client_urls.back();
    if (told == url.text || std::exchange(warned, true)) continue;
    c->warnings.push_back(Cat("--listen-client-urls: ", url.text, " is every address of this ",
                              "machine; member list shows ", told,
                              ". Give --advertise-client-urls if clients reach it by another"));
  }
}

absl::Status ReadMember(const RawFlags& raw, Config* c) {
  auto client_urls = ParseUrls("listen-client-urls", raw.listen_client_urls);
  if (!client_urls.ok()) return client_urls.status();
  if (client_urls->empty()) return Invalid("--listen-client-urls is empty");
  c->listen_client_urls = *std::move(client_urls);
  auto metrics_urls = ParseUrls("listen-metrics-urls", raw.listen_metrics_urls);
  if (!metrics_urls.ok()) return metrics_urls.status();
  c->listen_metrics_urls = *std::move(metrics_urls);
  auto http_urls = ParseUrls("listen-client-http-urls", raw.listen_client_http_urls);
  if (!http_urls.ok()) return http_urls.status();
  c->listen_client_http_urls = *std::move(http_urls);
  for (const ListenUrl& url : c->http_urls()) {
    if (!url.unix_socket) continue;
    return Invalid(url.flag, ": \"", url.text, "\": it must be http:// or https://");
  }
  if (raw.metrics != "basic" && raw.metrics != "extensive") {
    return Invalid("--metrics: \"", raw.metrics, "\" is neither basic nor extensive");
  }
  c->extensive_metrics = raw.metrics == "extensive";
  c->advertise_client_urls = SplitCommas(raw.advertise_client_urls);
  for (const std::string& url : c->advertise_client_urls) {
    // Not parsed: its host is a name of the clients' world.
    const size_t end = url.find("://");
    const std::string scheme = url.substr(0, end);
    if (end != std::string::npos && end + 3 < url.size() &&
        (scheme == "http" || scheme == "https" || scheme == "unix" || scheme == "unixs")) {
      continue;
    }
    return Invalid("--advertise-client-urls: \"", url,
                   "\": it must start with http://, https://, unix:// or unixs://");
  }
  if (c->advertise_client_urls.empty()) AdvertiseListenUrls(c);
  if (c->name.empty()) return Invalid("--name is empty");
  if (c->data_dir.empty()) c->data_dir = Cat(c->name, ".jetd");
  constexpr int64_t kLargestRequest = 64LL << 20U;
  int64_t ops = 0;
  int64_t bytes = 0;
  absl::Status status =
      ParseNumber("max-txn-ops", raw.max_txn_ops, 1, std::numeric_limits<int>::max(), &ops);
  status.Update(
      ParseNumber("max-request-bytes", raw.max_request_bytes, 1, kLargestRequest, &bytes));
  c->limits.max_txn_ops = static_cast<int>(ops);
  c->limits.max_request_bytes = static_cast<size_t>(bytes);
  return status;
}

absl::Status ReadTimes(const RawFlags& raw, Config* c) {
  struct Time {
    const char* flag;
    const std::string* text;
    std::chrono::milliseconds* out;
  };
  for (const Time& time : {
           Time{"grpc-keepalive-min-time", &raw.keepalive_min_time, &c->keepalive_min_time},
           Time{"grpc-keepalive-interval", &raw.keepalive_interval, &c->keepalive_interval},
           Time{"grpc-keepalive-timeout", &raw.keepalive_timeout, &c->keepalive_timeout},
           Time{"mirror-audit-interval", &raw.mirror_audit_interval, &c->mirror_audit_interval},
           // The later of two counts.
           Time{"experimental-warning-unary-request-duration", &raw.experimental_slow_request,
                &c->slow_request},
           Time{"warning-unary-request-duration", &raw.slow_request, &c->slow_request},
           Time{"experimental-watch-progress-notify-interval", &raw.experimental_progress_interval,
                &c->watch_progress_interval},
           Time{"watch-progress-notify-interval", &raw.progress_interval,
                &c->watch_progress_interval},
       }) {
    if (time.text->empty()) continue;  // not given
    if (auto status = ParseMilliseconds(time.flag, *time.text, time.out); !status.ok()) {
      return status;
    }
  }
  // As etcd reads them: with a zero the values of gRPC for Go count.
  if (c->keepalive_min_time.count() == 0) c->keepalive_min_time = std::chrono::minutes(5);
  if (c->keepalive_interval.count() == 0 || c->keepalive_timeout.count() == 0) {
    c->keepalive_interval = std::chrono::hours(2);
    c->keepalive_timeout = std::chrono::seconds(20);
  }
  if (c->watch_progress_interval < limits::kMinWatchProgressInterval) {
    c->watch_progress_interval = limits::kMinWatchProgressInterval;
    c->warnings.emplace_back("--watch-progress-notify-interval is raised to its minimum, 100ms");
  }
  return absl::OkStatus();
}

absl::Status ReadNats(const RawFlags& raw, Config* c) {
  NatsConfig& nats = c->nats;
  nats.urls = SplitCommas(raw.nats_urls);
  for (const std::string& url : nats.urls) {
    if (auto status = jetstream::CheckNatsUrl("--nats-url", url); !status.ok()) return status;
  }
  if (auto status = jetstream::CheckDomain("--nats-domain", nats.domain); !status.ok()) {
    return status;
  }
  if (!jetstream::IsBucketName(nats.bucket)) {
    return Invalid("--bucket: \"", nats.bucket,
                   "\" is no name of a bucket; it takes letters, digits, - and _");
  }
  const std::string& replicas = raw.nats_replicas;
  if (replicas != "1" && replicas != "3" && replicas != "5") {
    return Invalid("--nats-replicas: \"", replicas, "\" is none of 1, 3 or 5");
  }
  nats.replicas = replicas[0] - '0';
  if (nats.urls.empty() && nats.replicas != 1) {
    return Invalid("--nats-replicas: ", replicas,
                   " needs a NATS cluster; give --nats-url, or leave it out");
  }
  if (nats.urls.empty()) {
    // An embedded server takes none of them; the mistake is most likely the URL that is missing.
    for (const auto& [flag, value] :
         {std::pair("creds", nats.creds_file), std::pair("nkey", nats.nkey_file),
          std::pair("token-file", nats.token_file), std::pair("ca-file", nats.ca_file),
          std::pair("cert-file", nats.cert_file), std::pair("key-file", nats.key_file),
          std::pair("domain", nats.domain)}) {
      if (value.empty()) continue;
      return Invalid("--nats-", flag,
                     " is for a NATS server that runs already; give --nats-url with its address, "
                     "or leave it out");
    }
  }
  // nats-server takes one of them, and nats.c would not say which it shows.
  const std::pair<const char*, bool> ways[] = {{"--nats-creds", !nats.creds_file.empty()},
                                               {"--nats-nkey", !nats.nkey_file.empty()},
                                               {"--nats-token-file", !nats.token_file.empty()}};
  const char* first = nullptr;
  for (const auto& [flag, given] : ways) {
    if (!given) continue;
    if (first != nullptr) return Invalid(flag, " and ", first, " exclude each other");
    first = flag;
  }
  if (nats.cert_file.empty() != nats.key_file.empty()) {
    return Invalid("--nats-cert-file and --nats-key-file go together");
  }
  return absl::OkStatus();
}

// etcd's: 0 is its default, and a negative one none.
absl::Status ReadQuota(const RawFlags& raw, Config* c) {
  const std::string& text = raw.quota_backend_bytes;
  int64_t bytes = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), bytes);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
    return Invalid("--quota-backend-bytes: \"", text, "\" is no number of bytes");
  }
  if (bytes > 0) c->quota_backend_bytes = static_cast<uint64_t>(bytes);
  if (bytes < 0) c->quota_backend_bytes = UINT64_MAX;
  return absl::OkStatus();
}

absl::Status ReadValueCache(const RawFlags& raw, Config* c) {
  constexpr size_t kDefaultBytes = 48UL << 20U;
  const std::string& text = raw.value_cache_bytes;
  if (text.empty()) {
    // With an outside NATS a data folder is nothing that must be there.
    if (c->nats.urls.empty()) c->value_cache_bytes = kDefaultBytes;
    return absl::OkStatus();
  }
  if (text == "all") return absl::OkStatus();
  size_t bytes = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), bytes);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) {
    return Invalid("--value-cache-bytes: \"", text, "\" is neither a number of bytes nor \"all\"");
  }
  c->value_cache_bytes = bytes;
  return absl::OkStatus();
}

absl::Status ReadLog(const RawFlags& raw, Config* c) {
  const auto level = log::ParseLevel(raw.log_level);
  if (!level.ok()) return Invalid("--log-level: ", MessageOf(level.status()));
  c->log.level = *level;
  if (raw.log_format != "text" && raw.log_format != "json") {
    return Invalid("--log-format: \"", raw.log_format, "\" is neither text nor json");
  }
  c->log.format = raw.log_format == "json" ? log::Format::kJson : log::Format::kText;
  return absl::OkStatus();
}

}  // namespace

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

RawFlags::RawFlags()
    : max_request_bytes(Cat(config.limits.max_request_bytes)),
      max_txn_ops(Cat(config.limits.max_txn_ops)),
      nats_replicas(Cat(config.nats.replicas)) {}

absl::StatusOr<Config> ReadConfig(const RawFlags& raw) {
  Config c = raw.config;
  for (auto read : {ReadMember, ReadTimes, ReadNats, ReadQuota, ReadValueCache, ReadLog, ReadTls}) {
    if (auto status = read(raw, &c); !status.ok()) return status;
  }
  auto compaction = ParseCompaction(raw);
  if (!compaction.ok()) return compaction.status();
  c.compaction = *compaction;
  return c;
}

}  // namespace jetd::etcdapi
