// SPDX-License-Identifier: Apache-2.0
#include "replication/mirrors.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "base/strings.h"
#include "jetstream/nats_api.h"
#include "jetstream/record.h"
#include "jetstream/stream_setup.h"
#include "jetstream/subject.h"
#include "replication/mirror_tools.h"

namespace jetd::replication {
namespace {

using jetstream::MirrorDeclaration;
using jetstream::MirrorFacts;
using jetstream::OriginMark;

template <typename... Pieces>
absl::Status Unusable(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, pieces...);
}

absl::Status With(const absl::Status& status, const std::string& what) {
  return status.ok() ? status : MakeStatus(status.code(), what, ": ", MessageOf(status));
}

std::string MetadataText(const nlohmann::json& config, const char* member) {
  const auto metadata = config.find("metadata");
  if (metadata == config.end() || !metadata->is_object()) return "";
  return jetstream::TextOf(*metadata, member);
}

bool Declares(const nlohmann::json& config, const std::string& domain) {
  const auto declared = jetstream::DeclaredMirrors(config);
  return std::any_of(declared.begin(), declared.end(),
                     [&domain](const MirrorDeclaration& one) { return one.domain == domain; });
}

// That the stream in `there` was the primary before the one in `domain` was promoted.
bool WasPrimaryBefore(const nlohmann::json& there, const std::string& domain,
                      const nlohmann::json& promoted) {
  if (MetadataText(promoted, "jetd.promoted").empty()) return false;
  return MetadataText(there, "jetd.superseded") == domain || Declares(there, domain);
}

std::string StreamThere(const std::string& bucket, const std::string& domain) {
  return Cat("the stream ", jetstream::StreamName(bucket), " of the domain ", domain);
}

std::string MirrorThere(const std::string& domain) {
  return Cat("the mirror that is in the domain ", domain, " already");
}

// Whether an answer with the newest record of alarms says of any mirror that it is no copy.
bool NamesAMirror(const nlohmann::json& answer) {
  const auto stored = jetstream::StoredMessageOf(answer);
  std::string payload;
  if (!stored.ok() || !absl::Base64Unescape(stored->payload, &payload)) return false;
  const auto record = jetstream::DecodeAlarms(payload);
  return record.ok() && std::any_of(record->alarms.begin(), record->alarms.end(),
                                    [](const jetstream::Alarm& alarm) {
                                      return alarm.type == jetstream::AlarmType::kMirror;
                                    });
}

constexpr char kAnew[] = ". Remove its stream, and run this again";

}  // namespace

absl::StatusOr<std::unique_ptr<Mirrors>> Mirrors::Open(const StreamSource& origin) {
  if (origin.nats_urls.empty()) {
    return absl::InvalidArgumentError(
        "mirrors are of buckets on a nats-server of others; give --nats-url");
  }
  auto session =
      jetstream::ApiSession::Open({.urls = origin.nats_urls, .credentials = origin.credentials});
  if (!session.ok()) return session.status();
  return std::unique_ptr<Mirrors>(new Mirrors(origin, *std::move(session)));
}

absl::StatusOr<nlohmann::json> Mirrors::Info(const std::string& domain) {
  return session_->Ask(domain, Cat("STREAM.INFO.", jetstream::StreamName(origin_.bucket)));
}

absl::Status Mirrors::Redeclare(ConfigLock* lock, const Edit& edit) {
  auto info = Info(origin_.domain);
  if (!info.ok()) return With(info.status(), "the origin");
  nlohmann::json config = info->at("config");
  edit(&config);
  if (absl::Status held = lock->Check(); !held.ok()) return held;
  const auto said = session_->Ask(
      origin_.domain, Cat("STREAM.UPDATE.", jetstream::StreamName(origin_.bucket)), config);
  if (!said.ok()) return With(said.status(), "the declaration at the origin");
  info = Info(origin_.domain);
  if (!info.ok()) return With(info.status(), "the origin");
  if (jetstream::DeclaredMirrors(info->at("config")) == jetstream::DeclaredMirrors(config)) {
    return absl::OkStatus();
  }
  return absl::AbortedError(
      "somebody else changed the configuration of the origin's stream at the same time, and what "
      "it declares is not what was written: look at `jetctl mirror list`, and run this again");
}

absl::StatusOr<std::string> Mirrors::OwnDomain() {
  if (!origin_.domain.empty()) return origin_.domain;
  const auto account = session_->Ask("", "INFO");
  if (!account.ok()) return account.status();
  std::string domain = jetstream::TextOf(*account, "domain");
  if (domain.empty()) {
    return Unusable("the JetStream of ", session_->url(),
                    " is in no domain, so that no other can copy from it: give it one (`domain` "
                    "in the jetstream block of nats-server's configuration)");
  }
  return domain;
}

absl::StatusOr<Mirrors::Ground::There> Mirrors::LookThere(const AddOptions& options,
                                                          const Ground& ground) {
  const auto there = Info(options.domain);
  if (absl::IsNotFound(there.status())) return Ground::There::kNothing;
  if (!there.ok()) return With(there.status(), Cat("the domain ", options.domain));
  const auto facts = jetstream::MirrorFactsOf(*there);
  if (!facts.ok()) return facts.status();
  if (facts->mirrors && facts->origin.created_ns == ground.origin.created_ns &&
      facts->origin.domain == ground.origin.domain) {
    return Ground::There::kMirror;
  }
  const std::string stream = StreamThere(origin_.bucket, options.domain);
  if (!WasPrimaryBefore(there->at("config"), ground.origin.domain, ground.config)) {
    return MakeStatus(absl::StatusCode::kAlreadyExists, stream,
                      " is there already, and is no mirror of this one. Remove it yourself if "
                      "nobody needs it");
  }
  if (options.replace == Replace::kNo) {
    return MakeStatus(absl::StatusCode::kAlreadyExists, stream,
                      " is the old primary; with --replace-old-primary it is deleted, and what it "
                      "has that this one has not is lost");
  }
  return Ground::There::kOldPrimary;
}

absl::StatusOr<Mirrors::Ground> Mirrors::LookForAdd(const AddOptions& options) {
  const auto info = Info(origin_.domain);
  if (!info.ok()) return With(info.status(), "the origin");
  Ground ground;
  ground.config = info->at("config");
  const absl::Status usable = jetstream::CheckStreamConfig(origin_.bucket, ground.config);
  if (!usable.ok()) return usable;
  const auto facts = jetstream::FactsOf(*info);
  if (!facts.ok()) return facts.status();
  auto own = OwnDomain();
  if (!own.ok()) return own.status();
  if (*own == options.domain) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "the bucket is in the domain ", *own,
                      " itself: a mirror is for when that is lost");
  }
  ground.origin = {.domain = *std::move(own), .created_ns = facts->created_ns};
  // Whether the domain answers, before anything is changed.
  const auto there = LookThere(options, ground);
  if (!there.ok()) return there.status();
  ground.there = *there;
  return ground;
}

absl::StatusOr<Mirrors::States> Mirrors::ProbeCopy(const std::string& domain, States known) {
  const auto reports = Look(domain, std::move(known));
  if (!reports.ok()) return reports.status();
  States states;
  for (const jetstream::MirrorReport& report : *reports) {
    if (report.state.fit == jetstream::MirrorState::Fit::kFits) {
      states.push_back(report.state);
      continue;
    }
    return Unusable(MirrorThere(domain), " is no copy of this bucket: ", report.state.what, kAnew);
  }
  return states;
}

absl::Status Mirrors::ReadCopy(const std::string& domain) {
  const auto found = VerifyMirror(origin_, SourceOf({.domain = domain}));
  if (!found.ok()) {
    return With(found.status(), Cat(MirrorThere(domain), " could not be compared"));
  }
  if (found->difference.count == 0) return absl::OkStatus();
  return Unusable(MirrorThere(domain),
                  " was not declared, and differs: ", found->difference.named.front(), kAnew);
}

absl::Status Mirrors::Add(const AddOptions& options) {
  using There = Ground::There;
  const MirrorDeclaration declared{.name = options.name.empty() ? options.domain : options.name,
                                   .domain = options.domain,
                                   .cap_records = options.cap_records};
  if (!jetstream::IsBucketName(declared.name)) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "\"", declared.name,
                      "\" is no name of a mirror; it takes letters, digits, - and _");
  }
  auto ground = LookForAdd(options);
  if (!ground.ok()) return ground.status();
  // What takes long comes before the lock.
  const bool read = ground->there == There::kMirror && !Declares(ground->config, options.domain);
  States known;
  if (ground->there == There::kMirror) {
    auto copy = ProbeCopy(options.domain, {});
    if (!copy.ok()) return copy.status();
    known = *std::move(copy);
  }
  if (read) {
    if (absl::Status copy = ReadCopy(options.domain); !copy.ok()) return copy;
  }
  const auto lock = ConfigLock::Take(session_.get(), origin_.domain,
                                     jetstream::StreamName(origin_.bucket), options.say);
  if (!lock.ok()) return With(lock.status(), "the origin");
  ground = LookForAdd(options);
  if (!ground.ok()) return ground.status();
  if (ground->there == There::kMirror) {
    if (!read && !Declares(ground->config, options.domain)) {
      return absl::AbortedError(Cat(MirrorThere(options.domain),
                                    " has just been made or left by somebody else: run this "
                                    "again"));
    }
    const auto copy = ProbeCopy(options.domain, std::move(known));
    if (!copy.ok()) return copy.status();
  }
  if (ground->there == There::kOldPrimary) {
    if (options.say) options.say("deleting the old primary");
    if (absl::Status held = (*lock)->Check(); !held.ok()) return held;
    const auto deleted =
        session_->Ask(options.domain, Cat("STREAM.DELETE.", jetstream::StreamName(origin_.bucket)));
    if (!deleted.ok()) return With(deleted.status(), StreamThere(origin_.bucket, options.domain));
  }
  if (options.say) options.say("declaring it");
  const absl::Status said = Redeclare(
      lock->get(), [&](nlohmann::json* edited) { jetstream::DeclareMirror(declared, edited); });
  if (!said.ok() || ground->there == There::kMirror) return said;
  if (options.say) options.say("making its stream");
  return Create(lock->get(), declared, *ground, options.replicas);
}

absl::Status Mirrors::Create(ConfigLock* lock, const MirrorDeclaration& mirror,
                             const Ground& ground, int replicas) {
  const auto made =
      session_->Ask(mirror.domain, Cat("STREAM.CREATE.", jetstream::StreamName(origin_.bucket)),
                    jetstream::MirrorStreamConfig(origin_.bucket, replicas, ground.origin));
  if (made.ok()) return absl::OkStatus();
  const absl::Status back = Redeclare(lock, [&](nlohmann::json* edited) {
    (void)jetstream::TakeBackMirror(mirror.name, edited);
    for (const MirrorDeclaration& former : jetstream::DeclaredMirrors(ground.config)) {
      if (former.name == mirror.name) jetstream::DeclareMirror(former, edited);
    }
  });
  return With(made.status(), Cat("the stream in the domain ", mirror.domain, " was not made",
                                 back.ok() ? "" : ", and its declaration stays"));
}

absl::StatusOr<std::vector<MirrorDeclaration>> Mirrors::List() {
  const auto info = Info(origin_.domain);
  if (!info.ok()) return With(info.status(), "the origin");
  return jetstream::DeclaredMirrors(info->at("config"));
}

absl::StatusOr<std::vector<jetstream::MirrorReport>> Mirrors::Look(const std::string& domain,
                                                                   States known) {
  auto reports = session_->Mirrors({.bucket = origin_.bucket,
                                    .domain = origin_.domain,
                                    .only_domain = domain,
                                    .look = {.known = std::move(known)}});
  if (!reports.ok()) return With(reports.status(), "the origin");
  return reports;
}

absl::StatusOr<MirrorFacts> Mirrors::LookAlone(const std::string& domain) {
  const auto info = Info(domain);
  if (!info.ok()) return With(info.status(), Cat("the domain ", domain));
  return jetstream::MirrorFactsOf(*info);
}

absl::StatusOr<MirrorDeclaration> Mirrors::Find(const std::string& name) {
  const auto declared = List();
  if (!declared.ok()) return declared.status();
  if (declared->empty()) return absl::NotFoundError("the bucket declares no mirror");
  if (name.empty()) {
    if (declared->size() == 1) return declared->front();
    return absl::InvalidArgumentError("the bucket has several mirrors; give --name");
  }
  for (const MirrorDeclaration& one : *declared) {
    if (one.name == name) return one;
  }
  return MakeStatus(absl::StatusCode::kNotFound, "the bucket declares no mirror ", name);
}

absl::StatusOr<std::string> Mirrors::WhyNoCopy(const std::string& domain) {
  const auto reports = Look(domain);
  if (!reports.ok()) return reports.status();
  for (const jetstream::MirrorReport& report : *reports) {
    if (report.state.fit == jetstream::MirrorState::Fit::kOther) return report.state.what;
    if (report.state.fit != jetstream::MirrorState::Fit::kUnheard) continue;
    if (absl::IsNotFound(Info(domain).status())) continue;  // there is nothing to be kept
    const nlohmann::json newest = {
        {"last_by_subj", jetstream::SubjectCodec(origin_.bucket).AlarmSubject()}};
    const auto alarms = session_->Ask(
        origin_.domain, Cat("STREAM.MSG.GET.", jetstream::StreamName(origin_.bucket)), newest);
    if (absl::IsNotFound(alarms.status())) continue;
    if (!alarms.ok()) return With(alarms.status(), "the origin");
    if (!NamesAMirror(*alarms)) continue;
    return MakeStatus(absl::StatusCode::kUnavailable, "a mirror of the bucket was found to be no ",
                      "copy, and the domain ", domain, " does not answer: if it is that one, it ",
                      "must be written down there. Run this when it answers, or without "
                      "--keep-data");
  }
  return "";
}

absl::Status Mirrors::MarkKept(ConfigLock* lock, const std::string& domain,
                               int64_t origin_created_ns, const std::string& why) {
  const auto info = Info(domain);
  if (!info.ok()) return With(info.status(), Cat("the domain ", domain));
  nlohmann::json config = info->at("config");
  const auto facts = jetstream::MirrorFactsOf(*info);
  if (!facts.ok()) return facts.status();
  const bool of_this = facts->mirrors && facts->origin.created_ns == origin_created_ns;
  if (!of_this || !facts->no_copy.empty()) return absl::OkStatus();
  jetstream::MarkNoCopy(why, &config);
  if (absl::Status held = lock->Check(); !held.ok()) return held;
  const auto said =
      session_->Ask(domain, Cat("STREAM.UPDATE.", jetstream::StreamName(origin_.bucket)), config);
  return With(said.status(), Cat(StreamThere(origin_.bucket, domain),
                                 " is no copy, and that cannot be written down there"));
}

absl::Status Mirrors::Remove(const std::string& name, Data data) {
  std::string no_copy;
  if (data == Data::kKeep) {
    const auto kept = Find(name);
    if (!kept.ok()) return kept.status();
    auto why = WhyNoCopy(kept->domain);
    if (!why.ok()) return why.status();
    no_copy = *std::move(why);
  }
  const auto lock = ConfigLock::Take(session_.get(), origin_.domain,
                                     jetstream::StreamName(origin_.bucket), nullptr);
  if (!lock.ok()) return With(lock.status(), "the origin");
  const auto mirror = Find(name);
  if (!mirror.ok()) return mirror.status();
  const auto info = Info(origin_.domain);
  if (!info.ok()) return With(info.status(), "the origin");
  const auto origin = jetstream::FactsOf(*info);
  if (!origin.ok()) return origin.status();
  // First, for with its declaration goes what the origin says of it.
  if (!no_copy.empty()) {
    const absl::Status marked = MarkKept(lock->get(), mirror->domain, origin->created_ns, no_copy);
    if (!marked.ok()) return marked;
  }
  const absl::Status said = Redeclare(lock->get(), [&](nlohmann::json* edited) {
    (void)jetstream::TakeBackMirror(mirror->name, edited);
  });
  if (!said.ok()) return said;
  if (data == Data::kKeep) return absl::OkStatus();
  const std::string stays =
      Cat("the declaration is taken back; the stream in the domain ", mirror->domain, " stays");
  const auto facts = LookAlone(mirror->domain);
  if (absl::IsNotFound(facts.status())) return absl::OkStatus();
  if (!facts.ok()) return With(facts.status(), stays);
  if (!facts->mirrors || facts->origin.created_ns != origin->created_ns) {
    return Unusable(stays, ", since it is no mirror of this one");
  }
  const auto deleted =
      session_->Ask(mirror->domain, Cat("STREAM.DELETE.", jetstream::StreamName(origin_.bucket)));
  return With(deleted.status(), stays);
}

StreamSource Mirrors::SourceOf(const MirrorDeclaration& mirror) const {
  StreamSource source = origin_;
  source.domain = mirror.domain;
  return source;
}

}  // namespace jetd::replication
