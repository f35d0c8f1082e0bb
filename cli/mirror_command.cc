// SPDX-License-Identifier: Apache-2.0
#include "cli/mirror_command.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/strings.h"
#include "cli/flags.h"
#include "cli/json_member.h"
#include "cli/view_flags.h"
#include "cli/web_page.h"
#include "jetstream/nats_place.h"
#include "jetstream/stream_setup.h"
#include "nlohmann/json.hpp"
#include "replication/mirror_attendant.h"
#include "replication/mirror_tools.h"

namespace jetd::cli {
namespace {

using jetstream::MirrorReport;
using jetstream::MirrorState;
using replication::Mirrors;
using replication::StreamSource;

// A mirror hears from its origin every second or so; from here on it is said to be cut off.
constexpr int64_t kSilentNs = 10'000'000'000;

constexpr char kExamples[] =
    "--nats-url is a server of the bucket's domain, or one that reaches it as --nats-domain; for\n"
    "attend it is one of the mirror's.\n"
    "\n"
    "With --metrics-url, of the jetd that leads, status shows what that has compared too.\n"
    "\n"
    "Exit codes: 3 when status has an ALARM (what is there is no copy of this bucket), or verify\n"
    "found a difference; 1 when a mirror did not answer or is cut off.\n"
    "\n"
    "Examples:\n"
    "  jetctl mirror add --nats-url nats://n1:4222 --bucket tenant --domain dr\n"
    "  jetctl mirror status --nats-url nats://n1:4222 --bucket tenant\n"
    "  jetctl mirror trim --nats-url nats://n1:4222 --bucket tenant --horizon 2026-10-01T00:00:00Z "
    "--yes";

std::string Seconds(int64_t ns) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f s", static_cast<double>(ns) / 1e9);
  return text;
}

std::string Time(int64_t ns) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::FromUnixNanos(ns), absl::UTCTimeZone());
}

// Whether it hears of its origin, for people; "" if it does.
std::string Silence(const jetstream::MirrorFacts& facts) {
  std::string text;
  if (facts.silent_ns < 0) {
    text = "has never heard of its origin";
  } else if (facts.silent_ns > kSilentNs) {
    text = Cat("has not heard of its origin for ", Seconds(facts.silent_ns));
  }
  if (!facts.error.empty()) CatTo(text, text.empty() ? "" : ", ", facts.error);
  return text;
}

const char* NameOf(MirrorState::Fit fit) {
  switch (fit) {
    case MirrorState::Fit::kFits:
      return "fits";
    case MirrorState::Fit::kUnheard:
      return "unheard";
    case MirrorState::Fit::kOther:
      return "other";
    case MirrorState::Fit::kPromoted:
      break;
  }
  return "promoted";
}

// A mirror as its stream and the origin's tell of it, and as the jetd that leads has compared it.
struct Seen {
  MirrorReport report;
  std::optional<MirrorAuditFigures> audit{};  // nothing: not asked, or not known
};

bool Differs(const Seen& seen) { return seen.audit.has_value() && seen.audit->differences > 0; }

std::string TextOf(const Seen& seen) {
  const MirrorState& state = seen.report.state;
  const std::string mirror = Cat("mirror ", state.name, " in domain ", state.domain, ": ");
  if (state.fit == MirrorState::Fit::kUnheard) return Cat(mirror, "UNHEARD: ", state.what, "\n");
  if (state.fit != MirrorState::Fit::kFits) return Cat("ALARM: ", mirror, state.what, "\n");
  if (Differs(seen)) {
    return Cat("ALARM: ", mirror, "its jetd has found ", seen.audit->differences,
               " records that differ or are missing there; the log of jetd names one\n");
  }
  const std::string silence = Silence(*seen.report.facts);
  std::string text =
      Cat(mirror, silence.empty() ? "attached" : Cat("CUT OFF: ", silence), ", at sequence ",
          state.reached.value(), " of ", state.last.value(), ", ",
          state.last.value() - state.reached.value(), " records and ", Seconds(state.lag_ns),
          " behind, its newest of ", Time(seen.report.facts->newest_ns));
  if (seen.audit.has_value()) CatTo(text, ", compared up to ", seen.audit->verified);
  return text + "\n";
}

nlohmann::json JsonOf(const Seen& seen) {
  const MirrorState& state = seen.report.state;
  nlohmann::json json = {{"name", state.name},
                         {"domain", state.domain},
                         {"cap", state.cap_records},
                         {"state", NameOf(state.fit)},
                         {"last", state.last.value()}};
  if (!state.what.empty()) json["what"] = state.what;
  if (seen.audit.has_value()) {
    json["compared"] = seen.audit->verified;
    json["differences"] = seen.audit->differences;
  }
  if (state.fit != MirrorState::Fit::kFits) return json;
  const int64_t silent_ns = seen.report.facts->silent_ns;
  json["reached"] = state.reached.value();
  json["lag_records"] = state.last.value() - state.reached.value();
  json["lag_seconds"] = static_cast<double>(state.lag_ns) / 1e9;
  json["silent_seconds"] = silent_ns < 0 ? -1 : static_cast<double>(silent_ns) / 1e9;
  return json;
}

// The worst of them counts.
int ExitCodeOf(const std::vector<Seen>& mirrors) {
  bool away = false;
  for (const Seen& seen : mirrors) {
    if (seen.report.state.fit == MirrorState::Fit::kUnheard) {
      away = true;
    } else if (seen.report.state.fit != MirrorState::Fit::kFits || Differs(seen)) {
      return kExitDamaged;
    } else if (!Silence(*seen.report.facts).empty()) {
      away = true;
    }
  }
  return away ? kExitFailed : kExitOk;
}

// "" if there is none, or the rest of its line.
std::string_view FigureOf(std::string_view page, std::string_view name, const std::string& domain,
                          const std::string& mirror) {
  const std::string line = Cat("\n", name, "{domain=\"", domain, "\",mirror=\"", mirror, "\"} ");
  const size_t at = page.find(line);
  if (at == std::string_view::npos) return "";
  const size_t begin = at + line.size();
  return page.substr(begin, std::min(page.find('\n', begin), page.size()) - begin);
}

template <typename Number>
Number NumberOf(std::string_view text) {
  Number number = 0;
  (void)std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

absl::StatusOr<replication::TrimRule::Horizon> ReadHorizon(const std::string& text) {
  replication::TrimRule::Horizon horizon;
  int64_t revision = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), revision);
  if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && revision > 0) {
    horizon.revision = Revision(revision);
    return horizon;
  }
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &error)) {
    return Invalid("--horizon takes a revision or a time like 2026-11-20T15:10:00Z, not \"", text,
                   "\"");
  }
  horizon.time_ns = absl::ToUnixNanos(time);
  return horizon;
}

std::optional<MirrorAuditFigures> ReadMirrorAudit(std::string_view page, const std::string& domain,
                                                  const std::string& mirror) {
  const auto figure = [&](const char* name) { return FigureOf(page, name, domain, mirror); };
  const std::string_view verified = figure("jetd_mirror_verified_sequence");
  if (verified.empty()) return std::nullopt;
  return MirrorAuditFigures{
      .verified = WholeOf(NumberOf<double>(verified)),
      .verified_at = NumberOf<double>(figure("jetd_mirror_verified_timestamp_seconds")),
      .differences = WholeOf(NumberOf<double>(figure("jetd_mirror_differences")))};
}

const MirrorCommand::Verb MirrorCommand::kVerbs[] = {
    {"add", "Makes a mirror in the JetStream domain --domain; removal then waits for it",
     &MirrorCommand::Add},
    {"list", "The mirrors that the bucket declares", &MirrorCommand::List},
    {"status", "How far each one is behind, and whether it still copies this bucket",
     &MirrorCommand::Status},
    {"verify", "Compares the state at the mirror's newest sequence on both sides",
     &MirrorCommand::Verify},
    {"trim", "Cuts a mirror's history off at --horizon; each key's newest version there stays",
     &MirrorCommand::Trim},
    {"remove", "Takes the declaration back, and deletes the mirror's stream",
     &MirrorCommand::Remove},
    {"attend", "Stays beside a mirror, so that it is attached soon after a cut of its link",
     &MirrorCommand::Attend},
};

void MirrorCommand::AddFlags(CLI::App* app) {
  app_ = app;
  app->footer(kExamples);
  for (const Verb& verb : kVerbs) {
    CLI::App* const sub = app->add_subcommand(verb.name, verb.summary);
    sub->footer("");
    AddFlagsOf(verb.name, sub);
    source_.AddTo(sub);
    // It ends with ^C, and has no results.
    if (verb.run != &MirrorCommand::Attend) output_.AddTo(sub);
  }
}

void MirrorCommand::AddFlagsOf(std::string_view verb, CLI::App* sub) {
  const auto add = [sub](const char* flag, std::string* value, const char* help) {
    sub->add_option(flag, *value, help)->take_last();
  };
  if (verb == "add") {
    add("--name", &name_, "What it is called [the domain]");
    add("--domain", &domain_, "Its JetStream domain");
    AddNumber(sub, kNoHeading, "--cap", &cap_,
              "Records that removal waits for it at most [1000000]", uint64_t{1});
    AddNumber(sub, kNoHeading, "--replicas", &replicas_, "Replicas of its stream [1]", 1, 5);
    sub->add_flag("--replace-old-primary", replace_,
                  "Delete the stream there if this one was promoted in its place");
  } else if (verb == "status") {
    add("--domain", &domain_, "Only the mirror in that domain, declared or not");
    add("--metrics-url", &metrics_url_,
        "http:// URL of the leading jetd's /metrics, without the path");
  } else if (verb != "list" && verb != "attend") {
    add("--name", &name_, "Which mirror [the only one]");
  }
  if (verb == "trim") {
    add("--horizon", &horizon_, "A revision or an RFC 3339 time");
    sub->add_flag("--dry-run", dry_run_, "Only say what would be removed");
  }
  if (verb == "remove") {
    sub->add_flag("--keep-data", keep_data_, "Leave the mirror's stream where it is");
  }
  if (verb == "trim" || verb == "remove") sub->add_flag("--yes", yes_, "Really");
}

absl::Status MirrorCommand::CheckFlags(std::string_view verb) const {
  if (verb == "add" && domain_.empty()) return Invalid("which domain? Give --domain");
  if (auto wrong = jetstream::CheckDomain("--domain", domain_); !wrong.ok()) return wrong;
  if (!name_.empty() && !jetstream::IsBucketName(name_)) {
    return Invalid("--name: \"", name_,
                   "\" is no name of a mirror; it takes letters, digits, - and _");
  }
  if (verb == "trim" && horizon_.empty()) return Invalid("up to where? Give --horizon");
  if (verb == "trim") {
    if (const auto horizon = ReadHorizon(horizon_); !horizon.ok()) return horizon.status();
  }
  if ((verb == "remove" && !yes_) || (verb == "trim" && !yes_ && !dry_run_)) {
    return Invalid("this deletes records of the mirror for good; give --yes",
                   verb == "trim" ? ", or --dry-run to see what it would" : "");
  }
  return absl::OkStatus();
}

absl::StatusOr<int> MirrorCommand::Run(Output* output) {
  const Verb* const verb = ChosenVerb(*app_, kVerbs);
  if (verb == nullptr) {
    return Invalid(
        "name what to do: add, list, status, verify, trim, remove or attend; see jetctl mirror "
        "--help");
  }
  const auto form = output_.Read();
  if (!form.ok()) return form.status();
  json_ = *form == OutputForm::kJson;
  if (absl::Status status = CheckFlags(verb->name); !status.ok()) return status;
  auto source = source_.Read();
  if (!source.ok()) return source.status();
  source->patience = std::chrono::seconds(0);  // as long as it takes
  source->interrupted = output->interrupted();
  source->progress = ShowRecords(output);
  if (verb->run == &MirrorCommand::Attend) return Attend(nullptr, *source, output);
  const auto mirrors = Mirrors::Open(*source);
  if (!mirrors.ok()) return mirrors.status();
  return (this->*verb->run)(mirrors->get(), *source, output);
}

// For programs, or for people.
void MirrorCommand::Show(const nlohmann::json& json, const std::string& text,
                         Output* output) const {
  output->Print(json_ ? Cat(json.dump(), "\n") : text);
}

absl::StatusOr<int> MirrorCommand::Add(Mirrors* mirrors, const StreamSource& /*origin*/,
                                       Output* output) const {
  const absl::Status status =
      mirrors->Add({.domain = domain_,
                    .name = name_,
                    .cap_records = cap_,
                    .replicas = replicas_,
                    .replace = replace_ ? Mirrors::Replace::kOldPrimary : Mirrors::Replace::kNo,
                    .say = [output](std::string_view line) { output->Progress(line); }});
  output->EndProgress();
  if (!status.ok()) return status;
  const std::string mirror = name_.empty() ? domain_ : name_;
  Show({{"name", mirror}, {"domain", domain_}, {"cap", cap_}},
       Cat("mirror ", mirror, " in domain ", domain_,
           ": removal waits for it while it is behind by no more than ", cap_, " records\n"),
       output);
  return kExitOk;
}

absl::StatusOr<int> MirrorCommand::List(Mirrors* mirrors, const StreamSource& /*origin*/,
                                        Output* output) const {
  const auto declared = mirrors->List();
  if (!declared.ok()) return declared.status();
  nlohmann::json json = nlohmann::json::array();
  std::string text;
  for (const jetstream::MirrorDeclaration& one : *declared) {
    json.push_back({{"name", one.name}, {"domain", one.domain}, {"cap", one.cap_records}});
    CatTo(text, one.name, " domain ", one.domain, " cap ", one.cap_records, "\n");
  }
  Show(json, text, output);
  return kExitOk;
}

absl::StatusOr<int> MirrorCommand::Status(Mirrors* mirrors, const StreamSource& /*origin*/,
                                          Output* output) const {
  const auto reports = mirrors->Look(domain_);
  if (!reports.ok()) {
    if (domain_.empty()) return reports.status();
    const auto facts = mirrors->LookAlone(domain_);
    if (!facts.ok()) return facts.status();
    output->Say(name(), MessageOf(reports.status()));
    const uint64_t reached = facts->stream.state.last.value();
    Show(nlohmann::json::array(
             {{{"domain", domain_}, {"state", "without_origin"}, {"reached", reached}}}),
         Cat("mirror in domain ", domain_, ": at sequence ", reached, ", its newest of ",
             Time(facts->newest_ns), "; how far it is behind is not known\n"),
         output);
    return kExitFailed;
  }
  if (reports->empty()) output->Say(name(), "the bucket declares no mirror");
  std::string page;
  if (!metrics_url_.empty()) {
    auto got = GetWebPage(metrics_url_, "/metrics", {});
    if (!got.ok()) return got.status();
    page = *std::move(got);
  }
  std::vector<Seen> seen;
  for (const MirrorReport& report : *reports) {
    const MirrorState& state = report.state;
    seen.push_back({report, ReadMirrorAudit(page, state.domain, state.name)});
    if (metrics_url_.empty() || seen.back().audit.has_value()) continue;
    output->Say(name(), Cat("the jetd at ", metrics_url_, " has not compared the mirror ",
                            state.name, " yet, or does not lead"));
  }
  nlohmann::json json = nlohmann::json::array();
  std::string text;
  for (const Seen& one : seen) {
    json.push_back(JsonOf(one));
    text += TextOf(one);
  }
  Show(json, text, output);
  return ExitCodeOf(seen);
}

absl::StatusOr<StreamSource> MirrorCommand::Source(Mirrors* mirrors, Output* output) const {
  const auto mirror = mirrors->Find(name_);
  if (!mirror.ok()) return mirror.status();
  output->Progress(Cat("reading the mirror ", mirror->name));
  return mirrors->SourceOf(*mirror);
}

absl::StatusOr<int> MirrorCommand::Verify(Mirrors* mirrors, const StreamSource& origin,
                                          Output* output) const {
  const auto source = Source(mirrors, output);
  if (!source.ok()) return source.status();
  // Two that differ since they are of different streams are not compared key by key.
  const auto reports = mirrors->Look(source->domain);
  if (!reports.ok()) return reports.status();
  for (const MirrorReport& report : *reports) {
    if (report.state.fit == MirrorState::Fit::kFits) continue;
    output->EndProgress();
    Show(JsonOf(Seen{report}), TextOf(Seen{report}), output);
    return ExitCodeOf({Seen{report}});
  }
  const auto found = replication::VerifyMirror(origin, *source);
  if (!found.ok()) return found.status();
  output->EndProgress();
  const bool same = found->difference.count == 0 && found->origin_hash == found->mirror_hash;
  std::string text = Cat("at sequence ", found->seq.value(), ", revision ", found->revision.value(),
                         ", ", found->keys, " keys: hash ", found->origin_hash, " at the origin, ",
                         found->mirror_hash, " in the mirror\n");
  for (const std::string& difference : found->difference.named) CatTo(text, difference, "\n");
  CatTo(text, same ? "no difference\n" : Cat(found->difference.count, " differences\n"));
  Show({{"same", same},
        {"sequence", found->seq.value()},
        {"revision", found->revision.value()},
        {"keys", found->keys},
        {"origin_hash", found->origin_hash},
        {"mirror_hash", found->mirror_hash},
        {"differences", found->difference.count},
        {"named", found->difference.named}},
       text, output);
  return same ? kExitOk : kExitDamaged;
}

absl::StatusOr<int> MirrorCommand::Trim(Mirrors* mirrors, const StreamSource& /*origin*/,
                                        Output* output) const {
  replication::TrimOptions options;
  const auto horizon = ReadHorizon(horizon_);
  if (!horizon.ok()) return horizon.status();
  options.horizon = *horizon;
  if (dry_run_) options.dry_run = replication::TrimOptions::DryRun::kYes;
  options.progress = [output](uint64_t done, uint64_t of) {
    output->Progress(Cat("removed ", done, " of ", of, " records"));
  };
  const auto source = Source(mirrors, output);
  if (!source.ok()) return source.status();
  const auto plan = replication::TrimMirror(*source, options);
  if (!plan.ok()) return plan.status();
  output->EndProgress();
  Show({{"dry_run", dry_run_},
        {"removed", plan->removed.size()},
        {"records", plan->records},
        {"horizon_revision", plan->horizon.value()}},
       Cat(dry_run_ ? "would remove " : "removed ", plan->removed.size(), " of ", plan->records,
           " records; what can be restored begins at revision ", plan->horizon.value(), "\n"),
       output);
  return kExitOk;
}

absl::StatusOr<int> MirrorCommand::Attend(Mirrors* /*mirrors*/, const StreamSource& mirror,
                                          Output* output) const {
  const replication::AttendOptions options{
      .mirror = mirror,
      .say = [this, output](std::string_view line) { output->Say(name(), line); },
      .interrupted = output->interrupted()};
  std::string told;
  while (!output->interrupted()->load()) {
    const absl::Status ended = replication::AttendMirror(options);
    if (ended.ok()) break;
    if (absl::IsFailedPrecondition(ended) || absl::IsInvalidArgument(ended)) return ended;
    // Its server may be starting.
    if (std::string text(MessageOf(ended)); text != told) {
      output->Say(name(), Cat(text, "; trying again"));
      told = std::move(text);
    }
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  return kExitOk;
}

absl::StatusOr<int> MirrorCommand::Remove(Mirrors* mirrors, const StreamSource& /*origin*/,
                                          Output* output) const {
  const auto mirror = mirrors->Find(name_);
  if (!mirror.ok()) return mirror.status();
  const absl::Status status =
      mirrors->Remove(mirror->name, keep_data_ ? Mirrors::Data::kKeep : Mirrors::Data::kDelete);
  if (!status.ok()) return status;
  Show({{"name", mirror->name}, {"domain", mirror->domain}, {"kept_data", keep_data_}},
       Cat("mirror ", mirror->name, " in domain ", mirror->domain, ": removed",
           keep_data_ ? ", its stream is kept" : "", "\n"),
       output);
  return kExitOk;
}

}  // namespace jetd::cli
