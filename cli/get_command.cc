// SPDX-License-Identifier: Apache-2.0
#include "cli/get_command.h"

#include <cstdint>
#include <utility>

#include "base/strings.h"
#include "cli/figures.h"
#include "cli/table.h"
#include "nlohmann/json.hpp"

namespace jetd::cli {
namespace {

using replication::State;

constexpr char kExamples[] =
    "Reads the bucket's stream and changes nothing. What is below the compact revision goes by "
    "and\n"
    "by; `jetctl points` says what is still there. A mirror keeps all.\n"
    "\n"
    "Examples:\n"
    "  jetctl get --data-dir /var/lib/jetd --at 10m /registry/pods/default/web\n"
    "      a key as it was ten minutes ago\n"
    "  jetctl get --nats-url nats://n1:4222 --nats-domain hub --stream KV_etcd_mirror \\\n"
    "      --at 2026-11-20T15:10:00Z --prefix /registry/configmaps/ --keys-only\n"
    "      from a mirror in another domain\n"
    "  jetctl get --data-dir /var/lib/jetd --at before:/registry/secrets/default/db \\\n"
    "      --print-value-only /registry/secrets/default/db > db\n"
    "      what it was before its last change, byte for byte and a line's end";

constexpr size_t kShownBytes = 60;

std::string LeaseText(LeaseId lease) { return lease == LeaseId{} ? "" : Cat(lease.value()); }

}  // namespace

void GetCommand::AddFlags(CLI::App* app) {
  app->footer(kExamples);
  view_.AddTo(app);
  app->add_option("--at", at_, std::string("When: ") + kPointHelp)->take_last();
  app->add_option("KEY", key_, "This key");
  prefix_option_ =
      app->add_option("--prefix", prefix_, "All keys that begin so; --prefix= is all of them")
          ->take_last();
  app->add_flag("--keys-only", keys_only_, "Print the keys alone");
  app->add_flag("--print-value-only", value_only_, "Print the values alone, byte for byte");
}

absl::Status GetCommand::CheckFlags() const {
  if (at_.empty()) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "--at says when: ", kPointHelp);
  }
  if (key_.empty() == (prefix_option_->count() == 0)) {
    return absl::InvalidArgumentError("name one key, or a --prefix (--prefix= for all keys)");
  }
  if (keys_only_ && value_only_) {
    return absl::InvalidArgumentError("--keys-only and --print-value-only exclude each other");
  }
  if (value_only_ && view_.json()) {
    return absl::InvalidArgumentError("--print-value-only and --output json exclude each other");
  }
  return absl::OkStatus();
}

void GetCommand::PrintTable(const State& state, Output* output) const {
  if (value_only_ || keys_only_) {
    for (const auto& [key, value] : state.keys) {
      output->Print(Cat(value_only_ ? value.value : key, "\n"));
    }
    return;
  }
  Table table({"REVISION", "CREATED", "VERSION", "LEASE", "BYTES", "KEY", "VALUE"});
  for (const auto& [key, value] : state.keys) {
    table.Add({Cat(value.mod_revision.value()), Cat(value.create_revision.value()),
               Cat(value.version), LeaseText(value.lease), Cat(value.value.size()), Printable(key),
               Printable(value.value, key_.empty() ? kShownBytes : kWhole)});
  }
  output->Print(table);
}

// A key a piece: all of them may be more than memory should hold twice.
void GetCommand::PrintJson(const State& state, Output* output) const {
  output->Print(Cat("{\"at\":", Dump(ToJson(state)), ",\"kvs\":["));
  bool first = true;
  for (const auto& [key, value] : state.keys) {
    nlohmann::json json = {{"key", Base64(key)},
                           {"name", key},
                           {"create_revision", value.create_revision.value()},
                           {"mod_revision", value.mod_revision.value()},
                           {"version", value.version}};
    if (value.lease != LeaseId{}) {
      json["lease"] = value.lease.value();
      const auto lease = state.leases.find(value.lease);
      if (lease != state.leases.end()) json["lease_ttl_seconds"] = lease->second;
    }
    if (!keys_only_) json["value"] = Base64(value.value);
    output->Print(Cat(std::exchange(first, false) ? "" : ",", "\n", Dump(json)));
  }
  output->Print(Cat("],\"count\":", state.keys.size(), "}\n"));
}

absl::StatusOr<int> GetCommand::Run(Output* output) {
  if (absl::Status status = CheckFlags(); !status.ok()) return status;
  const auto point = ReadPoint("--at", at_);
  if (!point.ok()) return point.status();
  const auto source = view_.Source(output);
  if (!source.ok()) return source.status();
  replication::StateOptions options;
  options.prefix = key_.empty() ? prefix_ : key_;
  options.progress = ShowRecords(output);
  if (keys_only_) options.values = replication::StateOptions::Values::kNo;
  output->Progress("opening the store");
  auto state = replication::ReadState(*source, *point, options);
  if (!state.ok()) return state.status();
  if (!key_.empty()) {
    std::erase_if(state->keys, [this](const auto& one) { return one.first != key_; });
  }
  WarnOfClock(name(), state->points, output);
  if (!key_.empty() && state->keys.empty()) {
    return MakeStatus(absl::StatusCode::kNotFound, Printable(key_), " was not there at ",
                      ToText(*state));
  }
  if (view_.json()) {
    PrintJson(*state, output);
    return kExitOk;
  }
  PrintTable(*state, output);
  if (!keys_only_ && !value_only_) {
    output->Say(name(), Cat(ToText(*state), ": ", Counted(state->keys.size(), "key")));
  }
  return kExitOk;
}

}  // namespace jetd::cli
