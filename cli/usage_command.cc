// SPDX-License-Identifier: Apache-2.0
#include "cli/usage_command.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <utility>

#include "base/pem_files.h"
#include "base/strings.h"
#include "nlohmann/json.hpp"

namespace jetd::cli {
namespace {

using nlohmann::json;

constexpr char kExamples[] =
    "Numbers are since each jetd's start, or with --since between an earlier --json and now; a\n"
    "jetd that was started anew in between counts from its start. Members of a tenant are added\n"
    "up, its storage is counted once. cpu_seconds is jetd's own. What an outside nats-server took\n"
    "is divided among its accounts with --nats-monitor-url, half by messages and half by bytes: a\n"
    "tenant's account has the name of its bucket. nats-server does not tell its CPU time;\n"
    "--nats-cpu-seconds does (of its unit: systemctl show -P CPUUsageNSec, in nanoseconds).\n"
    "\n"
    "Examples:\n"
    "  jetctl usage --metrics-url http://10.0.0.1:2381 --metrics-url http://10.0.0.2:2381\n"
    "  jetctl usage --metrics-url http://10.0.0.1:2381 --json > monday.json\n"
    "  jetctl usage --metrics-url http://10.0.0.1:2381 --since monday.json --csv";

double NumberOf(const json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

std::string StringOf(const json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

struct Use {
  std::map<std::string, double> requests;  // by RPC
  double bytes_in = 0, bytes_out = 0, stored_bytes = 0, cpu_seconds = 0, watch_seconds = 0;
  double nats_cpu_seconds = 0;

  [[nodiscard]] double all_requests() const {
    double all = 0;
    for (const auto& [name, count] : requests) all += count;
    return all;
  }
};

// What a member adds: what it says now, without what it said before if it is the same process.
void Add(const json& now, const json* before, Use* use) {
  const bool same = before != nullptr &&
                    NumberOf(*before, "start_time_seconds") == NumberOf(now, "start_time_seconds");
  const json nothing = json::object();
  const json& from = same ? *before : nothing;
  const auto passed = [&](const char* member) {
    return NumberOf(now, member) - NumberOf(from, member);
  };
  use->bytes_in += passed("bytes_in");
  use->bytes_out += passed("bytes_out");
  use->cpu_seconds += passed("cpu_seconds");
  use->watch_seconds += passed("watch_seconds");
  // All members speak of one stream.
  use->stored_bytes = std::max(use->stored_bytes, NumberOf(now, "stream_bytes"));
  const json requests = now.value("requests", nothing);
  const json earlier = from.value("requests", nothing);
  for (const auto& [name, count] : requests.items()) {
    if (!count.is_number()) continue;
    use->requests[name] += count.get<double>() - NumberOf(earlier, name.c_str());
  }
}

struct Earlier {
  std::map<std::string, json> members;  // what was said before, by URL
  NatsWork nats;
};

absl::StatusOr<Earlier> ReadEarlier(const std::string& path) {
  Earlier earlier;
  if (path.empty()) return earlier;
  const auto text = ReadWholeFile(path);
  if (!text.ok()) return text.status();
  const json whole = json::parse(*text, nullptr, false);
  if (!whole.is_object() || !whole.contains("members") || !whole["members"].is_object()) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition, path,
                      " is no output of jetctl usage --json");
  }
  for (const auto& [url, said] : whole["members"].items()) {
    if (said.is_object()) earlier.members[url] = said;
  }
  if (whole.contains("nats")) earlier.nats = NatsWorkOf(whole["nats"]);
  return earlier;
}

int64_t Whole(double number) { return static_cast<int64_t>(number); }

std::string Fixed(double number) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3f", number);
  return text;
}

// What a nats-server took, once it was asked.
struct NatsUse {
  NatsWork now;
  double others = 0;  // CPU seconds of accounts that no jetd was asked for
};

std::string CsvOf(const std::map<std::string, Use>& uses, const std::optional<NatsUse>& nats) {
  std::string text = "tenant,requests,bytes_in,bytes_out,stored_bytes,cpu_seconds,watch_hours";
  CatTo(text, nats.has_value() ? ",nats_cpu_seconds\n" : "\n");
  for (const auto& [bucket, use] : uses) {
    CatTo(text, bucket, ",", Whole(use.all_requests()), ",", Whole(use.bytes_in), ",",
          Whole(use.bytes_out), ",", Whole(use.stored_bytes), ",", Fixed(use.cpu_seconds), ",",
          Fixed(use.watch_seconds / 3600));
    if (nats.has_value()) CatTo(text, ",", Fixed(use.nats_cpu_seconds));
    CatTo(text, "\n");
  }
  return text;
}

std::string TextOf(const std::map<std::string, Use>& uses, const std::optional<NatsUse>& nats) {
  std::string text;
  for (const auto& [bucket, use] : uses) {
    CatTo(text, "tenant ", bucket, ": ", Whole(use.all_requests()), " requests (");
    const char* between = "";
    for (const auto& [name, count] : use.requests) {
      if (count <= 0) continue;
      CatTo(text, between, Whole(count), " ", name);
      between = ", ";
    }
    CatTo(text, "), ", Whole(use.bytes_in), " bytes in, ", Whole(use.bytes_out), " bytes out, ",
          Whole(use.stored_bytes), " bytes stored, ", Fixed(use.cpu_seconds), " s of CPU, ");
    if (nats.has_value()) CatTo(text, Fixed(use.nats_cpu_seconds), " s of nats-server's, ");
    CatTo(text, Fixed(use.watch_seconds / 3600), " watch hours\n");
  }
  if (nats.has_value()) {
    CatTo(text, "others on the nats-server: ", Fixed(nats->others), " s of its CPU\n");
  }
  return text;
}

json JsonOf(const std::map<std::string, Use>& uses, const std::map<std::string, json>& members,
            const std::optional<NatsUse>& nats) {
  json tenants = json::object();
  for (const auto& [bucket, use] : uses) {
    tenants[bucket] = {{"requests", use.requests},       {"bytes_in", use.bytes_in},
                       {"bytes_out", use.bytes_out},     {"stored_bytes", use.stored_bytes},
                       {"cpu_seconds", use.cpu_seconds}, {"watch_hours", use.watch_seconds / 3600}};
    if (nats.has_value()) tenants[bucket]["nats_cpu_seconds"] = use.nats_cpu_seconds;
  }
  json whole = {{"tenants", tenants}, {"members", members}};
  if (nats.has_value()) {
    whole["nats"] = ToJson(nats->now);
    whole["others_nats_cpu_seconds"] = nats->others;
  }
  return whole;
}

// Divides what it took since `earlier` among the tenants.
void AddNats(const NatsWork& earlier, std::map<std::string, Use>* uses, NatsUse* nats) {
  for (const auto& [account, cpu_seconds] : DivideCpu(Since(nats->now, earlier))) {
    const auto tenant = uses->find(account);
    (tenant == uses->end() ? nats->others : tenant->second.nats_cpu_seconds) += cpu_seconds;
  }
}

}  // namespace

void UsageCommand::AddFlags(CLI::App* app) {
  app->footer(kExamples);
  app->add_option("--metrics-url", urls_, "A --listen-metrics-urls of each jetd; may be repeated")
      ->delimiter(',');
  const auto add = [&](const char* name, std::string* value, const char* help) {
    app->add_option(name, *value, help)->take_last();
  };
  add("--since", &since_, "File with an earlier --json: only what came after it");
  add("--nats-monitor-url", &monitor_url_,
      "Monitoring port of the nats-server that all of them use: divides its CPU time");
  app->add_option("--nats-cpu-seconds", nats_cpu_seconds_, "That time, since its start")
      ->take_last();
  add("--cacert", &tls_.ca_file, "CA of their certificates, PEM [the system's]");
  add("--cert", &tls_.cert_file, "Client certificate for them, PEM");
  add("--key", &tls_.key_file, "Its key, PEM");
  app->add_flag("--json", json_, "Print one JSON object, with what --since needs");
  app->add_flag("--csv", csv_, "Print a line a tenant, separated by commas");
}

absl::StatusOr<int> UsageCommand::Run(Output* output) {
  if (urls_.empty()) {
    return absl::InvalidArgumentError(
        "whose? Give --metrics-url, a --listen-metrics-urls of each jetd");
  }
  if (json_ && csv_) return absl::InvalidArgumentError("--json and --csv: give one of them");
  if (tls_.cert_file.empty() != tls_.key_file.empty()) {
    return absl::InvalidArgumentError("--cert and --key go together");
  }
  if (monitor_url_.empty() != (nats_cpu_seconds_ < 0)) {
    return absl::InvalidArgumentError("--nats-monitor-url and --nats-cpu-seconds go together");
  }
  const auto earlier = ReadEarlier(since_);
  if (!earlier.ok()) {
    return MakeStatus(earlier.status().code(), "--since: ", MessageOf(earlier.status()));
  }
  std::map<std::string, Use> uses;
  std::map<std::string, json> members;
  for (const std::string& url : urls_) {
    if (members.contains(url)) continue;
    output->Progress(Cat("asking ", url));
    const auto page = GetWebPage(url, "/usage", tls_);
    if (!page.ok()) {
      return MakeStatus(page.status().code(), "--metrics-url: ", MessageOf(page.status()));
    }
    const json said = json::parse(*page, nullptr, false);
    const std::string bucket = said.is_object() ? StringOf(said, "bucket") : std::string();
    if (bucket.empty()) {
      return MakeStatus(absl::StatusCode::kUnavailable, url,
                        "/usage names no bucket: it is no jetd, or one that has not begun yet");
    }
    const auto before = earlier->members.find(url);
    Add(said, before == earlier->members.end() ? nullptr : &before->second, &uses[bucket]);
    members[url] = said;
  }
  std::optional<NatsUse> nats;
  if (!monitor_url_.empty()) {
    auto work = AskNats(monitor_url_, tls_, nats_cpu_seconds_);
    if (!work.ok()) {
      return MakeStatus(work.status().code(), "--nats-monitor-url: ", MessageOf(work.status()));
    }
    nats.emplace(NatsUse{.now = *std::move(work)});
    AddNats(earlier->nats, &uses, &*nats);
  }
  if (json_) {
    output->Print(Cat(JsonOf(uses, members, nats).dump(2), "\n"));
  } else {
    output->Print(csv_ ? CsvOf(uses, nats) : TextOf(uses, nats));
  }
  return kExitOk;
}

}  // namespace jetd::cli
