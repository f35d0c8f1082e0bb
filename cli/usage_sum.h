// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_USAGE_SUM_H_
#define JETD_CLI_USAGE_SUM_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/usage_record.h"
#include "nlohmann/json_fwd.hpp"

namespace jetd::cli {

// What a member says of itself: an answer of jetd's /usage, or what its record says in the same
// form (`since_ms` as there). Pure.
[[nodiscard]] nlohmann::json MemberOf(const UsageSample& newest,
                                      const std::vector<UsageSample>& samples,
                                      std::optional<int64_t> since_ms);

// What the members of tenants used, added up by tenant: the bucket of one cluster id, for buckets
// of different accounts and servers may have the same name. Plain data; one thread at a time.
class UsageSum {
 public:
  struct Tenant {
    UsageCounters used;
    double stored_bytes = 0, nats_cpu_seconds = 0;
  };

  // What `now` says was used since `earlier` of the same record; null: since the record began.
  void Add(const nlohmann::json& now, const nlohmann::json* earlier);
  // Its member `since`. False: there is none.
  [[nodiscard]] bool AddSince(const nlohmann::json& now);
  // Divides what a nats-server took among the tenants that have an account of their bucket's name.
  // What an account took whose name several have is told with the others'.
  void AddNats(const std::map<std::string, double>& cpu_seconds);

  // A line a tenant; the same columns as members of JSON.
  [[nodiscard]] std::string ToText() const;
  [[nodiscard]] std::string ToCsv() const;
  // An array, ascending by name and id.
  [[nodiscard]] nlohmann::json ToJson() const;
  [[nodiscard]] double others_nats_cpu_seconds() const { return others_; }

 private:
  using Key = std::pair<std::string, std::string>;  // bucket, cluster id
  Tenant* Find(const nlohmann::json& now);
  [[nodiscard]] int WithName(const std::string& bucket) const;

  std::map<Key, Tenant> tenants_;
  bool nats_ = false;
  double others_ = 0;  // CPU seconds of accounts that are no tenant's
};

}  // namespace jetd::cli

#endif  // JETD_CLI_USAGE_SUM_H_
