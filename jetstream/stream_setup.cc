// SPDX-License-Identifier: Apache-2.0
#include "jetstream/stream_setup.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/time/time.h"
#include "base/error.h"
#include "base/strings.h"
#include "jetstream/record.h"

namespace jetd::jetstream {
namespace {

constexpr const char* kFormatMember = "jetd.format";
// Holds the format until a promotion is done (mirror_config.h).
constexpr const char* kPromotingMember = "jetd.promoting";
// Of a mirror: when the stream that it was made of was made (mirror_config.h).
constexpr const char* kOriginMember = "jetd.origin.created";
// Unlimited history. NATS's KV clients refuse a bucket where it is below 1; 2^53-1 is exact in
// every JSON library.
constexpr int64_t kMaxHistory = (int64_t{1} << 53) - 1;
// The smallest that nats-server takes: its table of message ids is rebuilt at every start, which
// takes long in proportion to the window.
constexpr int64_t kDuplicateWindowNs = 100'000'000;

bool BoolOf(const nlohmann::json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

absl::Status Refuse(const std::string& bucket, std::string_view why) {
  return absl::FailedPreconditionError(
      Cat("bucket \"", bucket, "\" (stream ", StreamName(bucket), ") is not usable: ", why,
          "; it was left unchanged. Choose another --bucket, or remove that stream yourself if "
          "nobody needs it"));
}

// What kine calls a bucket that it makes; it leaves no other mark.
constexpr std::string_view kKinesDescription = "Holds kine key/values";

absl::Status RefuseKines(const std::string& bucket) {
  return absl::FailedPreconditionError(Cat(
      "bucket \"", bucket, "\" (stream ", StreamName(bucket),
      ") holds data of kine, which stores it in another way; it was left unchanged. Give "
      "another --bucket, and let `jetctl import --from-endpoints` copy what kine serves into it "
      "while kine runs"));
}

std::string MetadataText(const nlohmann::json& config, const char* member) {
  const auto metadata = config.find("metadata");
  if (metadata == config.end() || !metadata->is_object()) return "";
  return TextOf(*metadata, member);
}

int64_t OriginCreatedNs(const nlohmann::json& config, int64_t own) {
  if (!config.contains("mirror")) return own;
  const std::string text = MetadataText(config, kOriginMember);
  int64_t created_ns = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), created_ns);
  return created_ns;
}

absl::Status CheckFormat(const std::string& bucket, const std::string& text) {
  if (text.empty()) return Refuse(bucket, "it was not made by jetd");
  int format = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), format);
  if (parsed.ec != std::errc() || format < 1) return Refuse(bucket, "its jetd.format is no number");
  if (format > kFormatVersion) {
    return Refuse(bucket, Cat("its format ", format, " is newer than this jetd, which knows ",
                              kFormatVersion, ": run a newer jetd"));
  }
  return absl::OkStatus();
}

std::string SubjectsOf(const nlohmann::json& config) {
  const auto subjects = config.find("subjects");
  return subjects == config.end() ? "[]" : subjects->dump();
}

}  // namespace

std::string StreamName(const std::string& bucket) { return "KV_" + bucket; }
std::string StreamName(const StreamOptions& options) {
  return options.stream.empty() ? StreamName(options.bucket) : options.stream;
}

bool IsBucketName(const std::string& bucket) {
  return !bucket.empty() && std::all_of(bucket.begin(), bucket.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

nlohmann::json NewStreamConfig(const StreamOptions& options) {
  return {{"name", StreamName(options.bucket)},
          {"description", "the store of a jetd (an etcd server)"},
          {"subjects", {Cat("$KV.", options.bucket, ".>")}},
          {"retention", "limits"},
          {"storage", "file"},
          {"discard", "new"},
          {"max_consumers", -1},
          {"max_msgs", -1},
          {"max_bytes", options.max_bytes},
          {"max_age", 0},
          {"max_msgs_per_subject", kMaxHistory},
          {"max_msg_size", -1},
          {"num_replicas", options.replicas},
          {"duplicate_window", kDuplicateWindowNs},
          {"allow_direct", true},
          {"allow_rollup_hdrs", true},
          {"deny_delete", false},
          {"metadata", {{kFormatMember, Cat(kFormatVersion)}}}};
}

absl::Status CheckStreamConfig(const std::string& bucket, const nlohmann::json& config) {
  if (!MetadataText(config, kPromotingMember).empty()) {
    return Refuse(bucket, "its promotion was begun and not ended: run `jetctl promote` again");
  }
  const std::string format = MetadataText(config, kFormatMember);
  if (format.empty() && TextOf(config, "description") == kKinesDescription) {
    return RefuseKines(bucket);
  }
  if (absl::Status known = CheckFormat(bucket, format); !known.ok()) return known;
  const nlohmann::json wanted = NewStreamConfig({.bucket = bucket});
  if (config.contains("mirror") && config["mirror"].is_object()) {
    return Refuse(bucket, "it is a mirror, which nobody but its origin writes to");
  }
  if (config.contains("sources") && !config["sources"].empty()) {
    return Refuse(bucket, "other streams write into it (sources)");
  }
  if (const std::string by = MetadataText(config, "jetd.superseded"); !by.empty()) {
    return Refuse(bucket, Cat("its mirror in the JetStream domain ", by,
                              " was promoted, and is the primary now: it comes back as a mirror of "
                              "that one only"));
  }
  if (BoolOf(config, "sealed")) return Refuse(bucket, "it is sealed");
  if (SubjectsOf(config) != wanted["subjects"].dump()) {
    return Refuse(bucket, Cat("its subjects are ", SubjectsOf(config)));
  }
  if (TextOf(config, "storage") != "file") return Refuse(bucket, "it is not stored in files");
  if (TextOf(config, "retention") != "limits") return Refuse(bucket, "its retention is not limits");
  if (TextOf(config, "discard") != "new") {
    return Refuse(bucket, "it discards old records when it is full");
  }
  if (IntegerOf(config, "max_age", 0) != 0) return Refuse(bucket, "its records expire (max_age)");
  const int64_t history = IntegerOf(config, "max_msgs_per_subject", -1);
  if (history >= 0 && history < kMaxHistory) {
    return Refuse(bucket, "it drops old versions (max_msgs_per_subject)");
  }
  if (BoolOf(config, "deny_delete")) {
    return Refuse(bucket, "it denies deletes, so that compaction could never free space");
  }
  if (!BoolOf(config, "allow_direct")) return Refuse(bucket, "it denies direct gets");
  // Acks before the write, from 2.12 on.
  if (TextOf(config, "persist_mode") == "async") {
    return Refuse(bucket, "it answers writes before they are written (persist_mode)");
  }
  return absl::OkStatus();
}

absl::Status CheckUnserved(const std::string& bucket, const nlohmann::json& config) {
  const std::string promoting = MetadataText(config, kPromotingMember);
  if (!promoting.empty()) return CheckFormat(bucket, promoting);
  const std::string format = MetadataText(config, kFormatMember);
  const auto mirror = config.find("mirror");
  if (mirror == config.end() || !mirror->is_object()) {
    if (BoolOf(config, "sealed")) return CheckFormat(bucket, format);
    return CheckStreamConfig(bucket, config);
  }
  // Whoever made it by hand may have left the format out; what is in it says enough.
  if (!format.empty()) {
    if (absl::Status known = CheckFormat(bucket, format); !known.ok()) return known;
  }
  const auto transforms = mirror->find("subject_transforms");
  const bool transformed = transforms != mirror->end() && !transforms->empty();
  if (transformed || !TextOf(*mirror, "filter_subject").empty()) {
    return Refuse(bucket, "it mirrors a part of its origin only");
  }
  return absl::OkStatus();
}

absl::StatusOr<StreamFacts> FactsOf(const nlohmann::json& answer) {
  const auto config = answer.find("config");
  const auto state = answer.find("state");
  absl::Time created;
  std::string error;
  if (config == answer.end() || !config->is_object() || state == answer.end() ||
      !state->is_object() ||
      !absl::ParseTime(absl::RFC3339_full, TextOf(answer, "created"), &created, &error)) {
    return MakeError(Errc::kUnavailable, "JetStream told of the stream in a way unknown to jetd");
  }
  const auto number = [&state](const char* member) {
    return static_cast<uint64_t>(IntegerOf(*state, member, 0));
  };
  StreamFacts facts;
  facts.max_bytes = IntegerOf(*config, "max_bytes", -1);
  facts.replicas = static_cast<int>(IntegerOf(*config, "num_replicas", 1));
  facts.created_ns = absl::ToUnixNanos(created);
  facts.origin_created_ns = OriginCreatedNs(*config, facts.created_ns);
  facts.sealed = BoolOf(*config, "sealed");
  facts.state.last = StreamSeq(number("last_seq"));
  facts.state.messages = number("messages");
  facts.state.bytes = number("bytes");
  facts.state.first =
      facts.state.messages == 0 ? facts.state.last.Next() : StreamSeq(number("first_seq"));
  facts.num_deleted = number("num_deleted");
  if (const auto deleted = state->find("deleted"); deleted != state->end()) {
    for (const nlohmann::json& seq : *deleted) {
      if (seq.is_number_unsigned()) facts.deleted.emplace_back(seq.get<uint64_t>());
    }
    std::sort(facts.deleted.begin(), facts.deleted.end());
  }
  return facts;
}

namespace {

// The answer's JSON, or the error in it.
absl::StatusOr<nlohmann::json> JsonOf(const absl::StatusOr<NatsMessage*>& reply) {
  if (!reply.ok()) return reply.status();
  nlohmann::json answer = ParseAnswer((*reply)->payload());
  const ApiError error = ApiErrorOf(answer);
  if (error.code == 0) return answer;
  if (error.err_code == js_error::kStreamNotFound) {
    return absl::NotFoundError(error.description);
  }
  if (error.err_code == js_error::kStreamNameInUse) {
    return absl::AlreadyExistsError(error.description);
  }
  return MakeError(Errc::kUnavailable,
                   Cat("JetStream: ", error.description, " (", error.err_code, ")"));
}

void CreateStream(NatsApi* api, const StreamOptions& options,
                  std::function<void(absl::StatusOr<StreamFacts>)> done) {
  const auto on_reply = [done = std::move(done),
                         bucket = options.bucket](const absl::StatusOr<NatsMessage*>& reply) {
    const absl::StatusOr<nlohmann::json> answer = JsonOf(reply);
    if (!answer.ok()) {
      // Somebody else was faster: look again later.
      done(MakeError(Errc::kUnavailable, Cat("cannot create stream ", StreamName(bucket), ": ",
                                             MessageOf(answer.status()))));
      return;
    }
    const absl::StatusOr<StreamFacts> facts = FactsOf(*answer);
    if (!facts.ok()) return done(facts.status());
    // A server before 2.10 drops the metadata silently.
    const absl::Status checked = CheckStreamConfig(bucket, answer->at("config"));
    if (!checked.ok()) return done(checked);
    done(facts);
  };
  api->Request(api->Subject(Cat("STREAM.CREATE.", StreamName(options.bucket))),
               NewStreamConfig(options).dump(), on_reply);
}

}  // namespace

void SetUpStream(NatsApi* api, const StreamOptions& options,
                 std::function<absl::Status()> may_create,
                 std::function<void(absl::StatusOr<StreamFacts>)> done) {
  const auto on_reply = [api, options, may_create = std::move(may_create), done = std::move(done)](
                            const absl::StatusOr<NatsMessage*>& reply) mutable {
    const absl::StatusOr<nlohmann::json> answer = JsonOf(reply);
    if (absl::IsNotFound(answer.status())) {
      const absl::Status may = may_create();
      if (!may.ok()) return done(may);
      return CreateStream(api, options, std::move(done));
    }
    if (!answer.ok()) return done(answer.status());
    const absl::StatusOr<StreamFacts> facts = FactsOf(*answer);
    if (!facts.ok()) return done(facts.status());
    const nlohmann::json& config = answer->at("config");
    const absl::Status checked = options.unserved ? CheckUnserved(options.bucket, config)
                                                  : CheckStreamConfig(options.bucket, config);
    if (!checked.ok()) return done(checked);
    done(facts);
  };
  api->Request(api->Subject(Cat("STREAM.INFO.", StreamName(options))), "", on_reply);
}

void WatchStream(NatsConnection* connection, NatsApi* api, const std::string& bucket,
                 std::function<void(const absl::StatusOr<StreamFacts>&)> changed) {
  const auto on_reply = [bucket,
                         changed = std::move(changed)](const absl::StatusOr<NatsMessage*>& reply) {
    const absl::StatusOr<nlohmann::json> answer = JsonOf(reply);
    if (!answer.ok()) return changed(MakeError(Errc::kUnavailable, MessageOf(answer.status())));
    const absl::StatusOr<StreamFacts> facts = FactsOf(*answer);
    if (!facts.ok()) return changed(facts.status());
    const absl::Status checked = CheckStreamConfig(bucket, answer->at("config"));
    if (!checked.ok()) return changed(checked);
    changed(facts);
  };
  connection->Subscribe(Cat("$JS.EVENT.ADVISORY.STREAM.UPDATED.", StreamName(bucket)),
                        [api, subject = api->Subject(Cat("STREAM.INFO.", StreamName(bucket))),
                         on_reply](NatsMessage&) { api->Request(subject, "", on_reply); });
}

void AskStream(NatsApi* api, const StreamOptions& options,
               std::function<void(absl::StatusOr<StreamFacts>)> done, Deleted deleted) {
  api->Request(
      api->Subject(Cat("STREAM.INFO.", StreamName(options))),
      deleted == Deleted::kNamed ? R"({"deleted_details":true})" : "",
      [done = std::move(done), bucket = options.bucket](const absl::StatusOr<NatsMessage*>& reply) {
        const absl::StatusOr<nlohmann::json> answer = JsonOf(reply);
        if (absl::IsNotFound(answer.status())) return done(answer.status());
        if (GetErrc(answer.status()) == Errc::kTimeout) return done(answer.status());
        if (!answer.ok()) {
          return done(MakeError(Errc::kUnavailable, MessageOf(answer.status())));
        }
        absl::StatusOr<StreamFacts> facts = FactsOf(*answer);
        if (facts.ok()) facts->usable = CheckStreamConfig(bucket, answer->at("config"));
        done(std::move(facts));
      });
}

}  // namespace jetd::jetstream
