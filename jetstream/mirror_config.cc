// SPDX-License-Identifier: Apache-2.0
#include "jetstream/mirror_config.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/time/time.h"
#include "base/error.h"
#include "base/strings.h"
#include "jetstream/nats_api.h"
#include "jetstream/record.h"

namespace jetd::jetstream {
namespace {

constexpr std::string_view kMirrorPrefix = "jetd.mirror.";
constexpr const char* kFormat = "jetd.format";
constexpr const char* kOriginDomain = "jetd.origin.domain";
constexpr const char* kOriginCreated = "jetd.origin.created";
constexpr const char* kNoCopy = "jetd.no-copy";

const nlohmann::json& MetadataOf(const nlohmann::json& config) {
  static const nlohmann::json none = nlohmann::json::object();
  const auto found = config.find("metadata");
  return found != config.end() && found->is_object() ? *found : none;
}

nlohmann::json& MetadataOf(nlohmann::json* config) {
  nlohmann::json& metadata = (*config)["metadata"];
  if (!metadata.is_object()) metadata = nlohmann::json::object();
  return metadata;
}

int64_t NumberOf(const std::string& text) {
  int64_t number = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::string TimeOf(int64_t time_ns) {
  return absl::FormatTime(absl::RFC3339_full, absl::FromUnixNanos(time_ns), absl::UTCTimeZone());
}

// Without what its writer asked of the server, "Nats-Expected-…": a mirror does not keep that.
std::string RecordLines(std::string_view headers) {
  std::string lines;
  while (!headers.empty()) {
    const size_t end = headers.find("\r\n");
    const std::string_view line = headers.substr(0, end);
    headers.remove_prefix(end == std::string_view::npos ? headers.size() : end + 2);
    if (line.empty() || line.starts_with("NATS/") || line.starts_with("Nats-")) continue;
    CatTo(lines, line, "\r\n");
  }
  return lines;
}

MirrorVerdict Other(std::string what) { return {MirrorState::Fit::kOther, std::move(what)}; }

}  // namespace

std::vector<MirrorDeclaration> DeclaredMirrors(const nlohmann::json& config) {
  std::vector<MirrorDeclaration> mirrors;
  for (const auto& [key, value] : MetadataOf(config).items()) {
    if (!key.starts_with(kMirrorPrefix) || !value.is_string()) continue;
    const nlohmann::json said = ParseAnswer(value.get<std::string>());
    MirrorDeclaration mirror;
    mirror.name = key.substr(kMirrorPrefix.size());
    mirror.domain = TextOf(said, "domain");
    const int64_t cap = IntegerOf(said, "cap", -1);
    if (!IsBucketName(mirror.name) || mirror.domain.empty() || cap < 0) continue;
    mirror.cap_records = static_cast<uint64_t>(cap);
    mirrors.push_back(std::move(mirror));
  }
  return mirrors;
}

void DeclareMirror(const MirrorDeclaration& mirror, nlohmann::json* config) {
  const nlohmann::json said = {{"cap", mirror.cap_records}, {"domain", mirror.domain}};
  MetadataOf(config)[Cat(kMirrorPrefix, mirror.name)] = said.dump();
}

bool TakeBackMirror(const std::string& name, nlohmann::json* config) {
  return MetadataOf(config).erase(Cat(kMirrorPrefix, name)) > 0;
}

nlohmann::json MirrorStreamConfig(const std::string& bucket, int replicas,
                                  const OriginMark& origin) {
  nlohmann::json config = NewStreamConfig({.bucket = bucket, .replicas = replicas});
  config["description"] = "a mirror of the store of a jetd (an etcd server)";
  config.erase("subjects");
  // A mirror has none: what it copies was judged by its origin.
  config.erase("duplicate_window");
  config["mirror"] = {{"name", StreamName(bucket)},
                      {"external", {{"api", Cat("$JS.", origin.domain, ".API")}, {"deliver", ""}}}};
  nlohmann::json& metadata = MetadataOf(&config);
  metadata[kOriginDomain] = origin.domain;
  metadata[kOriginCreated] = Cat(origin.created_ns);
  return config;
}

nlohmann::json PromotingConfig(const std::string& bucket, nlohmann::json config) {
  const nlohmann::json bucket_config = NewStreamConfig({.bucket = bucket});
  config.erase("mirror");
  config["subjects"] = bucket_config["subjects"];
  config["description"] = bucket_config["description"];
  config["duplicate_window"] = bucket_config["duplicate_window"];
  nlohmann::json& metadata = MetadataOf(&config);
  // Without its format no jetd serves it.
  metadata["jetd.promoting"] = TextOf(metadata, kFormat);
  metadata.erase(kFormat);
  return config;
}

nlohmann::json PromotedConfig(nlohmann::json config, const std::string& now) {
  nlohmann::json& metadata = MetadataOf(&config);
  if (metadata.contains("jetd.promoting")) metadata[kFormat] = metadata["jetd.promoting"];
  metadata.erase("jetd.promoting");
  metadata["jetd.promoted"] = now;
  return config;
}

nlohmann::json SealedConfig(nlohmann::json config, const std::string& by_domain) {
  MetadataOf(&config)["jetd.superseded"] = by_domain;
  config["sealed"] = true;
  return config;
}

void MarkNoCopy(const std::string& why, nlohmann::json* config) {
  MetadataOf(config)[kNoCopy] = why;
}

absl::StatusOr<MirrorFacts> MirrorFactsOf(const nlohmann::json& answer) {
  auto stream = FactsOf(answer);
  if (!stream.ok()) return stream.status();
  MirrorFacts facts;
  facts.stream = *std::move(stream);
  const nlohmann::json& config = answer.at("config");
  const nlohmann::json& metadata = MetadataOf(config);
  facts.origin.domain = TextOf(metadata, kOriginDomain);
  facts.origin.created_ns = NumberOf(TextOf(metadata, kOriginCreated));
  facts.promoting = !TextOf(metadata, "jetd.promoting").empty();
  facts.promoted = TextOf(metadata, "jetd.promoted");
  facts.no_copy = TextOf(metadata, kNoCopy);
  facts.mirrors = config.contains("mirror") && config["mirror"].is_object();
  absl::Time newest;
  std::string ignored;
  if (facts.stream.state.messages > 0 &&
      absl::ParseTime(absl::RFC3339_full, TextOf(answer.at("state"), "last_ts"), &newest,
                      &ignored)) {
    facts.newest_ns = absl::ToUnixNanos(newest);
  }
  const auto mirror = answer.find("mirror");
  if (mirror != answer.end() && mirror->is_object()) {
    facts.silent_ns = IntegerOf(*mirror, "active", -1);
    const auto error = mirror->find("error");
    if (error != mirror->end() && error->is_object()) {
      facts.error = TextOf(*error, "description");
    }
  }
  return facts;
}

bool SaysNoCopy(const nlohmann::json& answer, int64_t made_ns) {
  const auto message = answer.find("message");
  std::string payload;
  if (message == answer.end() || !message->is_object() ||
      !absl::Base64Unescape(TextOf(*message, "data"), &payload)) {
    return false;
  }
  const auto record = DecodeAlarms(payload);
  const Alarm wanted{AlarmType::kMirror, static_cast<uint64_t>(made_ns)};
  return record.ok() &&
         std::find(record->alarms.begin(), record->alarms.end(), wanted) != record->alarms.end();
}

absl::StatusOr<StoredMessage> StoredMessageOf(const nlohmann::json& answer) {
  const auto message = answer.find("message");
  std::string headers;
  if (message == answer.end() || !message->is_object() || IntegerOf(*message, "seq", 0) <= 0 ||
      !absl::Base64Unescape(TextOf(*message, "hdrs"), &headers)) {
    return MakeError(Errc::kUnavailable, "JetStream told of a message in a way unknown to jetd");
  }
  return StoredMessage{.seq = StreamSeq(static_cast<uint64_t>(IntegerOf(*message, "seq", 0))),
                       .subject = TextOf(*message, "subject"),
                       .headers = RecordLines(headers),
                       .payload = TextOf(*message, "data")};
}

std::string_view StoredMessage::Header(std::string_view name) const {
  std::string_view lines = headers;
  while (!lines.empty()) {
    const size_t end = lines.find("\r\n");
    std::string_view line = lines.substr(0, end);
    lines.remove_prefix(end == std::string_view::npos ? lines.size() : end + 2);
    if (!line.starts_with(name) || line.substr(name.size(), 1) != ":") continue;
    line.remove_prefix(name.size() + 1);
    if (line.starts_with(" ")) line.remove_prefix(1);
    return line;
  }
  return {};
}

MirrorVerdict JudgeMirror(const MirrorEvidence& evidence) {
  const MirrorFacts& mirror = evidence.mirror;
  const StreamSeq last = evidence.origin.state.last;
  const StreamSeq reached = mirror.stream.state.last;
  if (mirror.promoting) return {MirrorState::Fit::kPromoted, "it is being promoted"};
  if (!mirror.promoted.empty()) {
    return {MirrorState::Fit::kPromoted, Cat("it was promoted at ", mirror.promoted)};
  }
  if (!mirror.mirrors) return Other("the stream there is no mirror");
  if (mirror.origin.created_ns != evidence.origin.created_ns) {
    return Other(Cat("it copies a stream that was made at ", TimeOf(mirror.origin.created_ns),
                     "; this one was made anew at ", TimeOf(evidence.origin.created_ns),
                     " and is not copied"));
  }
  if (reached > last) {
    return Other(Cat("it is at sequence ", reached.value(), ", and the stream went back to ",
                     last.value(), ": what is written from there on is not copied"));
  }
  if (evidence.other != StreamSeq{}) {
    return Other(Cat("the term record of the stream at sequence ", evidence.other.value(),
                     " is not there: the stream went back once, and gave out again sequences that "
                     "the mirror had taken"));
  }
  if (evidence.differs) {
    return Other(
        "the jetd that led has compared its records, and found some that differ or are missing; "
        "its log names the first");
  }
  if (!mirror.no_copy.empty()) {
    return Other(Cat("when it was left with --keep-data: ", mirror.no_copy));
  }
  return {};
}

}  // namespace jetd::jetstream
