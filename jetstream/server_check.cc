// SPDX-License-Identifier: Apache-2.0
#include "jetstream/server_check.h"

#include <limits>
#include <utility>

#include "base/limits.h"
#include "base/log_fields.h"
#include "base/strings.h"
#include "jetstream/long_subject.h"
#include "jetstream/nats_probe.h"

namespace jetd::jetstream {
namespace {

// Numbers that are longer in a real append than in the probe: the request's in its reply subject
// (up to 20 digits), the sizes of header block (5) and message (8).
constexpr size_t kMoreDigits = 20 + 5 + 8;
// nats-server's own default, which is enough.
constexpr int kEnoughBytes = 4'096;
constexpr int kMajorVersion = 2;
// With less, not even jetd's own records are sure to fit.
constexpr size_t kLeastPayloadBytes = 256UL << 10;

}  // namespace

absl::Status CheckServer(const NatsServerInfo& server, int min_minor) {
  const std::string& version = server.version;
  if (!version.empty() && !VersionAtLeast(version, kMajorVersion, min_minor)) {
    return absl::FailedPreconditionError(Cat("the nats-server at ", server.url, " is version ",
                                             version, "; jetd needs ", kMajorVersion, ".",
                                             min_minor, " or later"));
  }
  if (server.max_payload_bytes < kLeastPayloadBytes) {
    return absl::FailedPreconditionError(
        Cat("the nats-server at ", server.url, " takes messages of ", server.max_payload_bytes,
            " bytes (max_payload); jetd needs ", kLeastPayloadBytes,
            " for its own records, and 8MB for values as large as etcd takes; set it there"));
  }
  return absl::OkStatus();
}

void ProbeControlLine(NatsApi* api, const std::string& publish_prefix,
                      const std::string& subject_prefix, std::function<void(absl::Status)> done) {
  // Begins as no encoded key does, should a server ever store it.
  std::string subject = Cat(publish_prefix, subject_prefix, "=");
  subject.resize(publish_prefix.size() + kMaxPlainSubjectBytes + kMoreDigits, 'x');
  const std::string never = Cat(std::numeric_limits<uint64_t>::max());
  const NatsConnection::HeaderLine expectation{"Nats-Expected-Last-Sequence", never.c_str()};
  api->Request(
      subject, "",
      [done = std::move(done)](const absl::StatusOr<NatsMessage*>& reply) { done(reply.status()); },
      std::span(&expectation, 1));
}

bool TellsOfControlLine(const absl::Status& why) {
  return MessageOf(why).find("maximum control line exceeded") != std::string_view::npos;
}

absl::Status ControlLineTooShort(const std::string& url) {
  return absl::FailedPreconditionError(
      Cat("the nats-server at ", url,
          " ends connections for lines that long keys need (its max_control_line is too small); "
          "set max_control_line to ",
          kEnoughBytes, ", its default, or more there"));
}

std::string OutsideCaveat(int replicas) {
  if (replicas == 1) {
    return "one replica: a power cut at the nats-server can lose answered writes that it had not "
           "synced yet (its sync_interval, which cannot be seen from here; two minutes by default)";
  }
  return Cat(
      "a power cut at ", replicas / 2 + 1, " of the ", replicas,
      " replicas at once can lose answered writes that they had not synced yet (sync_interval, "
      "which cannot be seen from here)");
}

std::vector<std::string> WarningsOf(const LogInfo& info) {
  std::vector<std::string> warnings;
  if (!info.durability_caveat.empty()) warnings.push_back(info.durability_caveat);
  if (info.max_payload_bytes < limits::kMaxRequestBytes) {
    warnings.push_back(
        Cat("the nats-server's max_payload leaves ", info.max_payload_bytes,
            " bytes for a value: larger ones, which etcd takes up to 1.5 MiB, are refused; set "
            "max_payload to 8MB there"));
  }
  return warnings;
}

void TellConnected(const LogInfo& info, const std::string& url, const std::string& stream,
                   uint64_t records) {
  const std::string& version = info.server_version;
  log::Info("connected to nats-server {} at {}, stream {} with {} records{}{}",
            version.empty() ? "(unknown version)" : version, log::As("nats_url", url),
            log::As("stream", stream), log::As("records", records),
            log::Also("nats_version", version), log::Event("nats_connected"));
}

}  // namespace jetd::jetstream
