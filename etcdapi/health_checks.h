// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_HEALTH_CHECKS_H_
#define JETD_ETCDAPI_HEALTH_CHECKS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "etcdapi/http_server.h"

namespace jetd::etcdapi {

// HealthChecks answers /health, /livez and /readyz with etcd's words, codes and rules, and counts
// as etcd does. What etcd does not have: /readyz?verbose says under `durability` what a power cut
// could cost; that never fails.
//
//   /health                {"health":"true","reason":""}, or 503 and why not
//   /livez                 ok, or 503 and a line for each check
//   /readyz?verbose        a line for each check, and ok
//   /readyz/NAME           one check alone
//
// Live means that it is of no use to start it again: a jetd that waits for NATS, or replays, is
// live. Ready means that clients are served.
//
// Thread rules: the engine thread's.
class HealthChecks {
 public:
  enum class Read { kSerializable, kLinearizable };
  using DoneFn = std::function<void(absl::Status)>;
  // What it asks. All are set, and called on the engine thread.
  struct Facts {
    std::function<bool()> has_leader;
    // Names of the alarms that are raised, as etcd spells them ("NOSPACE").
    std::function<std::vector<std::string>()> alarms;
    // A read as clients make it; the error is what they would be told. Answers in bounded time.
    std::function<void(Read kind, DoneFn done)> read;
    // One line for people.
    std::function<std::string()> durability;
    // What this member waits for while it has no leader, one line.
    std::function<std::string()> waiting_for;
  };
  using ReplyFn = std::function<void(HttpReply)>;

  explicit HealthChecks(Facts facts);

  // Whether `path` is one of its own; any thread.
  [[nodiscard]] static bool Serves(const std::string& path);
  // REQUIRES: Serves(request.path), method GET. Replies once, now or later; after its end never.
  void Serve(const HttpRequest& request, ReplyFn reply);

  struct Outcome {
    bool ok = false;  // the last time
    uint64_t succeeded = 0, failed = 0;
  };
  struct Counts {
    uint64_t health_ok = 0, health_failed = 0;
    std::map<std::pair<std::string, std::string>, Outcome> checks;  // by "readyz" and check
  };
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  struct Run;

  void Health(const HttpRequest& request, ReplyFn reply);
  void RunChecks(const std::shared_ptr<Run>& run);
  void Check(const std::string& name, const DoneFn& done);
  void CheckRead(Read kind, const DoneFn& done);
  void Note(const std::string& type, const std::string& name, const absl::Status& status);
  void Tell(const std::string& asked, bool healthy, const std::string& what);

  const Facts facts_;
  Counts counts_;
  std::set<std::string> failing_;  // what was asked, of which the log was told that it fails
  // What waits for a read holds it weakly.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_HEALTH_CHECKS_H_
