// SPDX-License-Identifier: Apache-2.0
#include "cli/usage_command.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <map>
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
    "up, its storage is counted once. Of CPU it is jetd's own; what nats-server spends is not in "
    "it.\n"
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

// What was said before, by URL.
absl::StatusOr<std::map<std::string, json>> ReadEarlier(const std::string& path) {
  std::map<std::string, json> members;
  if (path.empty()) return members;
  const auto text = ReadWholeFile(path);
  if (!text.ok()) return text.status();
  const json whole = json::parse(*text, nullptr, false);
  if (!whole.is_object() || !whole.contains("members") || !whole["members"].is_object()) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition, path,
                      " is no output of jetctl usage --json");
  }
  for (const auto& [url, said] : whole["members"].items()) {
    if (said.is_object()) members[url] = said;
  }
  return members;
}

int64_t Whole(double number) { return static_cast<int64_t>(number); }

std::string Fixed(double number) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3f", number);
  return text;
}

std::string CsvOf(const std::map<std::string, Use>& uses) {
  std::string text = "tenant,requests,bytes_in,bytes_out,stored_bytes,cpu_seconds,watch_hours\n";
  for (const auto& [bucket, use] : uses) {
    CatTo(text, bucket, ",", Whole(use.all_requests()), ",", Whole(use.bytes_in), ",",
          Whole(use.bytes_out), ",", Whole(use.stored_bytes), ",", Fixed(use.cpu_seconds), ",",
          Fixed(use.watch_seconds / 3600), "\n");
  }
  return text;
}

std::string TextOf(const std::map<std::string, Use>& uses) {
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
          Whole(use.stored_bytes), " bytes stored, ", Fixed(use.cpu_seconds), " s of CPU, ",
          Fixed(use.watch_seconds / 3600), " watch hours\n");
  }
  return text;
}

json JsonOf(const std::map<std::string, Use>& uses, const std::map<std::string, json>& members) {
  json tenants = json::object();
  for (const auto& [bucket, use] : uses) {
    tenants[bucket] = {{"requests", use.requests},       {"bytes_in", use.bytes_in},
                       {"bytes_out", use.bytes_out},     {"stored_bytes", use.stored_bytes},
                       {"cpu_seconds", use.cpu_seconds}, {"watch_hours", use.watch_seconds / 3600}};
  }
  return {{"tenants", tenants}, {"members", members}};
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
  auto earlier = ReadEarlier(since_);
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
    const auto before = earlier->find(url);
    Add(said, before == earlier->end() ? nullptr : &before->second, &uses[bucket]);
    members[url] = said;
  }
  if (json_) {
    output->Print(Cat(JsonOf(uses, members).dump(2), "\n"));
  } else {
    output->Print(csv_ ? CsvOf(uses) : TextOf(uses));
  }
  return kExitOk;
}

}  // namespace jetd::cli
