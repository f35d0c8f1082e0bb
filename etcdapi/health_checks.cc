// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/health_checks.h"

#include <algorithm>
#include <string_view>

#include "base/log.h"
#include "base/log_fields.h"
#include "base/strings.h"
#include "etcdapi/status_map.h"
#include "nlohmann/json.hpp"

namespace jetd::etcdapi {
namespace {

constexpr const char* kDataCorruption = "data_corruption";
constexpr const char* kSerializableRead = "serializable_read";
constexpr const char* kLinearizableRead = "linearizable_read";
constexpr const char* kNonLearner = "non_learner";
constexpr const char* kDurability = "durability";

const std::vector<std::string>& ChecksOf(std::string_view type) {
  static const std::vector<std::string> live = {kSerializableRead};
  static const std::vector<std::string> ready = {kDataCorruption, kSerializableRead,
                                                 kLinearizableRead, kNonLearner, kDurability};
  return type == "livez" ? live : ready;
}

// "readyz" and "" for /readyz, "readyz" and "non_learner" for /readyz/non_learner.
std::pair<std::string, std::string> Split(const std::string& path) {
  if (!path.starts_with('/')) return {};
  const size_t slash = path.find('/', 1);
  if (slash == path.npos) return {path.substr(1), ""};
  return {path.substr(1, slash - 1), path.substr(slash + 1)};
}

std::string JsonOf(bool healthy, const std::string& reason) {
  nlohmann::ordered_json json;
  json["health"] = healthy ? "true" : "false";
  json["reason"] = reason;
  return json.dump();
}

// As Go's http.Error writes it.
HttpReply Failed(const std::string& text) {
  return {.status = 503,
          .headers = {{"Content-Type", "text/plain; charset=utf-8"},
                      {"X-Content-Type-Options", "nosniff"}},
          .body = text + "\n"};
}

}  // namespace

// Some checks of one request, one after the other.
struct HealthChecks::Run {
  std::string type;
  std::vector<std::string> names;
  std::string asked;  // the names
  bool verbose = false;
  ReplyFn reply;
  size_t next = 0;
  std::string lines;
  bool failed = false;
};

HealthChecks::HealthChecks(Facts facts) : facts_(std::move(facts)) {}

bool HealthChecks::Serves(const std::string& path) {
  if (path == "/health") return true;
  const auto [type, name] = Split(path);
  if (type != "livez" && type != "readyz") return false;
  const std::vector<std::string>& names = ChecksOf(type);
  return path == Cat("/", type) || std::find(names.begin(), names.end(), name) != names.end();
}

void HealthChecks::Serve(const HttpRequest& request, ReplyFn reply) {
  if (request.path == "/health") return Health(request, std::move(reply));
  const auto [type, only] = Split(request.path);
  auto run = std::make_shared<Run>();
  run->type = type;
  run->verbose = request.Has("verbose");
  run->reply = std::move(reply);
  const std::vector<std::string> excluded = request.All("exclude");
  for (const std::string& name : ChecksOf(type)) {
    const bool wanted = only.empty()
                            ? std::find(excluded.begin(), excluded.end(), name) == excluded.end()
                            : only == name;
    if (!wanted) continue;
    run->names.push_back(name);
    CatTo(run->asked, " ", name);
  }
  RunChecks(run);
}

void HealthChecks::Health(const HttpRequest& request, ReplyFn reply) {
  const std::vector<std::string> excluded = request.All("exclude");
  const bool serializable = request.First("serializable") == "true";
  std::string asked = Cat("/health", serializable ? " (serializable)" : "");
  for (const char* alarm : {"NOSPACE", "CORRUPT"}) {
    const bool left_out = std::find(excluded.begin(), excluded.end(), alarm) != excluded.end();
    if (left_out) CatTo(asked, " without ", alarm);
  }
  const auto answer = [this, asked, reply = std::move(reply)](const std::string& reason) {
    const bool healthy = reason.empty();
    ++(healthy ? counts_.health_ok : counts_.health_failed);
    Tell(asked, healthy, reason);
    const std::string body = JsonOf(healthy, reason);
    reply(healthy ? HttpReply{.body = body} : Failed(body));
  };
  for (const std::string& alarm : facts_.alarms()) {
    if (std::find(excluded.begin(), excluded.end(), alarm) != excluded.end()) continue;
    const bool known = alarm == "NOSPACE" || alarm == "CORRUPT";
    return answer(Cat("ALARM ", known ? alarm : "UNKNOWN"));
  }
  if (!serializable && !facts_.has_leader()) return answer("RAFT NO LEADER");
  facts_.read(serializable ? Read::kSerializable : Read::kLinearizable,
              [alive = std::weak_ptr(alive_), answer](const absl::Status& status) {
                if (alive.expired()) return;
                answer(status.ok() ? std::string() : Cat("RANGE ERROR:", MessageOf(status)));
              });
}

void HealthChecks::RunChecks(const std::shared_ptr<Run>& run) {
  if (run->next == run->names.size()) {
    if (run->type == "readyz") Tell(Cat("/readyz:", run->asked), !run->failed, run->lines);
    if (run->failed) return run->reply(Failed(run->lines));
    return run->reply({.headers = {{"Content-Type", "text/plain; charset=utf-8"},
                                   {"X-Content-Type-Options", "nosniff"}},
                       .body = Cat(run->verbose ? run->lines : "", "ok\n")});
  }
  const std::string name = run->names[run->next++];
  Check(name, [this, alive = std::weak_ptr(alive_), run, name](const absl::Status& status) {
    if (alive.expired()) return;
    Note(run->type, name, status);
    if (status.ok()) {
      const std::string more = name == kDurability ? Cat(": ", facts_.durability()) : "";
      CatTo(run->lines, "[+]", name, " ok", more, "\n");
    } else {
      run->failed = true;
      CatTo(run->lines, "[-]", name, " failed: ", MessageOf(status), "\n");
    }
    RunChecks(run);
  });
}

void HealthChecks::Check(const std::string& name, const DoneFn& done) {
  if (name == kSerializableRead) return CheckRead(Read::kSerializable, done);
  if (name == kLinearizableRead) return CheckRead(Read::kLinearizable, done);
  if (name == kDataCorruption) {
    const std::vector<std::string> alarms = facts_.alarms();
    if (std::find(alarms.begin(), alarms.end(), "CORRUPT") != alarms.end()) {
      return done(absl::DataLossError("alarm activated: CORRUPT"));
    }
  }
  // There are no learners, and what a power cut could cost is the operator's choice.
  done(absl::OkStatus());
}

void HealthChecks::CheckRead(Read kind, const DoneFn& done) {
  // At once, and not when the read has waited in vain.
  if (kind == Read::kLinearizable && !facts_.has_leader()) {
    const std::string why = facts_.waiting_for();
    return done(absl::UnavailableError(Cat(ToGrpc(Refusal::kNoLeader).message(),
                                           why.empty() ? "" : Cat(" (waiting for ", why, ")"))));
  }
  facts_.read(kind, done);
}

void HealthChecks::Note(const std::string& type, const std::string& name,
                        const absl::Status& status) {
  Outcome& outcome = counts_.checks[{type, name}];
  outcome.ok = status.ok();
  ++(status.ok() ? outcome.succeeded : outcome.failed);
}

// A probe asks every few seconds: what is worth a line is a change, of what this probe asks. There
// are few that can be asked.
void HealthChecks::Tell(const std::string& asked, bool healthy, const std::string& what) {
  if (healthy) {
    if (failing_.erase(asked) > 0) {
      log::Info("{} succeeds again{}", log::As("check", asked), log::Event("check_succeeds"));
    }
    return;
  }
  if (!failing_.insert(asked).second) return;
  std::string line = what;
  std::replace(line.begin(), line.end(), '\n', ' ');
  log::Warn("{} failed: {}{}", log::As("check", asked), log::As("reason", line),
            log::Event("check_failed"));
}

}  // namespace jetd::etcdapi
