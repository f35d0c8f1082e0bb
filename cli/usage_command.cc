// SPDX-License-Identifier: Apache-2.0
#include "cli/usage_command.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/pem_files.h"
#include "base/strings.h"
#include "base/usage_record.h"
#include "cli/flags.h"
#include "cli/json_member.h"
#include "cli/usage_sum.h"
#include "nlohmann/json.hpp"
#include "replication/point.h"

namespace jetd::cli {
namespace {

using nlohmann::json;

constexpr char kExamples[] =
    "Numbers are since each jetd's record began, or with --since from an earlier --json or a time\n"
    "on. A jetd keeps its record in its data folder, so what was used before it was started anew\n"
    "counts, to the minute of a kill -9; of times it knows minutes of the last day and hours of "
    "the\n"
    "last hundred. One that does not run any more is named with --data-dir. Members of a tenant "
    "are\n"
    "added up, its storage is counted once. cpu_seconds is jetd's own. What an outside "
    "nats-server\n"
    "took is divided among its accounts with --nats-monitor-url, half by messages and half by\n"
    "bytes: a tenant's account has the name of its bucket. nats-server does not tell its CPU "
    "time;\n"
    "--nats-cpu-seconds does (of its unit: systemctl show -P CPUUsageNSec, in nanoseconds).\n"
    "\n"
    "Examples:\n"
    "  jetctl usage --metrics-url http://10.0.0.1:2381 --metrics-url http://10.0.0.2:2381\n"
    "  jetctl usage --metrics-url http://10.0.0.1:2381 --since 2026-11-01T00:00:00Z --csv\n"
    "  jetctl usage --metrics-url http://10.0.0.1:2381 --json > monday.json\n"
    "  jetctl usage --metrics-url http://10.0.0.1:2381 --since monday.json --csv";

// A member that is seconds since 1970, in milliseconds; up to the last year that nanoseconds reach.
int64_t MsOf(const json& object, const char* seconds) {
  constexpr double kMost = 9'200'000'000;
  return static_cast<int64_t>(std::clamp(NumberOf(object, seconds), 0.0, kMost) * 1'000);
}

std::string TimeOf(int64_t ms) { return replication::TimeText(ms * 1'000'000); }

}  // namespace

void UsageCommand::AddFlags(CLI::App* app) {
  app->footer(kExamples);
  app->add_option(
         "--metrics-url", urls_,
         "Where each jetd serves /metrics: a --listen-metrics-urls, or its client port; may be "
         "repeated")
      ->delimiter(',');
  app->add_option("--data-dir", folders_,
                  "Data folder of each jetd that does not run any more; may be repeated")
      ->delimiter(',');
  const auto add = [&](const char* name, std::string* value, const char* help) {
    app->add_option(name, *value, help)->take_last();
  };
  add("--since", &since_,
      "Only what came after: a file with an earlier --json, a time (2026-11-20T15:10:00Z), or how "
      "long ago (720h)");
  add("--nats-monitor-url", &monitor_url_,
      "Monitoring port of the nats-server that all of them use: divides its CPU time");
  app->add_option("--nats-cpu-seconds", nats_cpu_seconds_, "That time, since its start")
      ->take_last()
      ->check([](const std::string& text) -> std::string {
        double seconds = -1;
        const char* const end = text.data() + text.size();
        const auto parsed = std::from_chars(text.data(), end, seconds);
        const bool number = parsed.ec == std::errc() && parsed.ptr == end && seconds >= 0;
        return number ? "" : Cat("\"", text, "\" is no number of seconds, such as 17.5");
      });
  add("--cacert", &tls_.ca_file, "CA of their certificates, PEM [the system's]");
  add("--cert", &tls_.cert_file, "Client certificate for them, PEM");
  add("--key", &tls_.key_file, "Its key, PEM");
  output_.AddTo(app, "one object, with what --since needs");
}

absl::Status UsageCommand::CheckFlags() const {
  if (urls_.empty() && folders_.empty()) {
    return Invalid("whose? Give --metrics-url, where each jetd serves /metrics");
  }
  if (tls_.cert_file.empty() != tls_.key_file.empty()) {
    return Invalid("--cert and --key go together");
  }
  for (const auto& [flag, path] :
       {std::pair("--cacert: ", &tls_.ca_file), std::pair("--cert: ", &tls_.cert_file),
        std::pair("--key: ", &tls_.key_file)}) {
    if (path->empty()) continue;
    const auto text = ReadWholeFile(*path);
    if (!text.ok()) return MakeStatus(text.status().code(), flag, MessageOf(text.status()));
  }
  if (monitor_url_.empty() != (nats_cpu_seconds_ < 0)) {
    return Invalid("--nats-monitor-url and --nats-cpu-seconds go together");
  }
  return absl::OkStatus();
}

absl::StatusOr<UsageCommand::Start> UsageCommand::ReadSince() const {
  Start start;
  if (since_.empty()) return start;
  std::error_code ignored;
  if (!std::filesystem::exists(since_, ignored)) {
    const auto point = replication::ParsePoint(since_, absl::GetCurrentTimeNanos());
    if (!point.ok() || point->kind != replication::Point::Kind::kTime || point->time_ns < 0) {
      return Invalid("--since: \"", since_, "\" is no file that is there, and no time such as ",
                     "2026-11-20T15:10:00Z or 24h");
    }
    if (!monitor_url_.empty()) {
      return Invalid("--nats-monitor-url: nats-server keeps no record; give --since an earlier ",
                     "--json");
    }
    start.time_ms = point->time_ns / 1'000'000;
    return start;
  }
  const auto text = ReadWholeFile(since_);
  if (!text.ok()) {
    return MakeStatus(text.status().code(), "--since: ", MessageOf(text.status()));
  }
  const json whole = json::parse(*text, nullptr, false);
  if (!whole.is_object() || !whole.contains("members") || !whole["members"].is_object()) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition, "--since: ", since_,
                      " is no output of jetctl usage --json");
  }
  for (const auto& [where, said] : whole["members"].items()) {
    const std::string record = said.is_object() ? StringOf(said, "record") : std::string();
    if (record.empty()) {
      return MakeStatus(absl::StatusCode::kFailedPrecondition, "--since: ", since_, ": ", where,
                        " names no record there: it is of an older jetctl or jetd");
    }
    start.earlier[record] = said;
  }
  start.is_file = true;
  start.asked_ms = MsOf(whole, "asked_seconds");
  if (whole.contains("nats")) start.nats = NatsWorkOf(whole["nats"]);
  return start;
}

absl::Status UsageCommand::AskJetds(Output* output, const Start& start, Members* members) const {
  const std::string path =
      start.time_ms.has_value() ? Cat("/usage?since=", *start.time_ms / 1'000) : "/usage";
  for (const std::string& url : urls_) {
    if (members->contains(url)) continue;
    output->Progress(Cat("asking ", url));
    const auto page = GetWebPage(url, path, tls_);
    if (!page.ok()) {
      return MakeStatus(page.status().code(), "--metrics-url: ", MessageOf(page.status()));
    }
    json said = json::parse(*page, nullptr, false);
    if (!said.is_object() || StringOf(said, "bucket").empty()) {
      return MakeStatus(absl::StatusCode::kUnavailable, url,
                        "/usage names no bucket: it is no jetd, or one that has not begun yet");
    }
    (*members)[url] = std::move(said);
  }
  return absl::OkStatus();
}

absl::Status UsageCommand::ReadFolders(const Start& start, Members* members) const {
  for (const std::string& folder : folders_) {
    const std::string root = Cat(folder, "/usage");
    bool found = false;
    for (const std::string& record : UsageFolders(root)) {
      const std::vector<UsageSample> samples = ReadUsageSamples(record);
      if (samples.empty()) continue;
      found = true;
      (*members)[record] = MemberOf(samples.back(), samples, start.time_ms);
    }
    if (!found) {
      return MakeStatus(absl::StatusCode::kNotFound, "--data-dir: there is no record of usage in ",
                        root);
    }
  }
  return absl::OkStatus();
}

void UsageCommand::DropTwins(Output* output, Members* members) const {
  std::map<std::string, std::string> places;  // by record
  for (auto twin = members->begin(); twin != members->end();) {
    const std::string record = StringOf(twin->second, "record");
    const auto [first, is_new] = places.emplace(record, twin->first);
    if (record.empty() || is_new) {
      ++twin;
      continue;
    }
    output->Say(name(), Cat(first->second, " and ", twin->first, " are one member: counted once"));
    // Of two copies the one that went on.
    json& kept = members->at(first->second);
    if (NumberOf(twin->second, "cpu_seconds") > NumberOf(kept, "cpu_seconds")) kept = twin->second;
    twin = members->erase(twin);
  }
}

absl::StatusOr<UsageCommand::Members> UsageCommand::Learn(Output* output,
                                                          const Start& start) const {
  Members asked;
  Members members;
  absl::Status learned = AskJetds(output, start, &asked);
  if (learned.ok()) learned = ReadFolders(start, &members);
  if (!learned.ok()) return learned;
  DropTwins(output, &asked);
  DropTwins(output, &members);
  // One that runs has all of its record, with what came since.
  std::set<std::string> running;
  for (const auto& [url, said] : asked) running.insert(StringOf(said, "record"));
  std::erase_if(members, [&](const auto& member) {
    return running.contains(StringOf(member.second, "record"));
  });
  members.merge(asked);
  return members;
}

void UsageCommand::TellOf(Output* output, const Start& start, const std::string& where,
                          const json& said) const {
  const std::string who = Cat("tenant ", StringOf(said, "bucket"), ", ", where, ": ");
  if (start.time_ms.has_value()) {
    const int64_t from_ms = MsOf(said.value("since", json::object()), "from_seconds");
    if (from_ms > *start.time_ms) {
      output->Say(name(),
                  Cat(who, "counted from ", TimeOf(from_ms), " on, nothing older is known"));
    }
  } else if (start.is_file && !start.earlier.contains(StringOf(said, "record"))) {
    const int64_t began_ms = MsOf(said, "began_seconds");
    if (began_ms < start.asked_ms || start.asked_ms == 0) {
      output->Say(name(), Cat(who, "not in ", since_, ", so counted from its beginning, ",
                              TimeOf(began_ms)));
    }
  }
  const auto kept = said.find("kept");
  if (kept != said.end() && kept->is_boolean() && !kept->get<bool>()) {
    output->Say(name(), Cat(who, "keeps no record, what it used is lost when it ends"));
  }
}

absl::StatusOr<int> UsageCommand::Run(Output* output) {
  const auto form = output_.Read();
  if (!form.ok()) return form.status();
  if (absl::Status flags = CheckFlags(); !flags.ok()) return flags;
  const auto start = ReadSince();
  if (!start.ok()) return start.status();
  const absl::Time asked = absl::Now();
  const auto members = Learn(output, *start);
  if (!members.ok()) return members.status();
  UsageSum sum;
  for (const auto& [where, said] : *members) {
    const auto before = start->earlier.find(StringOf(said, "record"));
    if (!start->time_ms.has_value()) {
      sum.Add(said, before == start->earlier.end() ? nullptr : &before->second);
    } else if (!sum.AddSince(said)) {
      return MakeStatus(absl::StatusCode::kFailedPrecondition, where,
                        " cannot tell what was used since a time: it is an older jetd");
    }
    TellOf(output, *start, where, said);
  }
  NatsWork work;
  if (!monitor_url_.empty()) {
    auto now = AskNats(monitor_url_, tls_, nats_cpu_seconds_);
    if (!now.ok()) {
      return MakeStatus(now.status().code(), "--nats-monitor-url: ", MessageOf(now.status()));
    }
    work = *std::move(now);
    sum.AddNats(DivideCpu(Since(work, start->nats)));
  }
  if (*form != OutputForm::kJson) {
    output->Print(*form == OutputForm::kCsv ? sum.ToCsv() : sum.ToText());
    return kExitOk;
  }
  json whole = {{"tenants", sum.ToJson()},
                {"members", *members},
                {"asked_seconds", absl::ToDoubleSeconds(asked - absl::UnixEpoch())}};
  if (!monitor_url_.empty()) {
    whole["nats"] = ToJson(work);
    whole["others_nats_cpu_seconds"] = sum.others_nats_cpu_seconds();
  }
  output->Print(Cat(whole.dump(2), "\n"));
  return kExitOk;
}

}  // namespace jetd::cli
