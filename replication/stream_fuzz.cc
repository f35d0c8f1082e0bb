// SPDX-License-Identifier: Apache-2.0
// The input is a stream as text, one record a line (check_harness.h). A first line "!" makes it one
// of an embedded server. Whatever it holds, a replay and a check end with an answer; where the
// check finds nothing, the replay's store agrees with it, and where the replay refuses a stream
// that others may write to, the check has found damage.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/fake_executor.h"
#include "base/fuzz_input.h"
#include "base/log.h"
#include "base/strings.h"
#include "replication/check_harness.h"

namespace jetd::replication {
namespace {

constexpr size_t kMaxRecords = 64;

absl::Status Replay(FakeExecutor* exec, jetstream::MemoryStream* stream, Server server) {
  jetstream::MemoryLog::Options options;
  options.exclusive = server == Server::kEmbedded;
  jetstream::MemoryLog log(exec, stream, options);
  jetstream::SilentObserver observer;
  log.Open(&observer, [](const absl::Status&) {});
  exec->RunDeferred();
  const jetstream::SubjectCodec codec("B");
  revision::Store store;
  revision::Replay replay(&log, &codec, &store);
  std::optional<absl::Status> status;
  replay.Run([&status](const auto& result) { status = result.status(); });
  exec->Advance(std::chrono::seconds(1));
  log.Close();
  exec->RunDeferred();
  JETD_CHECK(status.has_value()) << "the replay did not end";
  return *status;
}

void Try(FuzzInput input) {
  Server server = Server::kOutside;
  if (input.rest().starts_with("!\n")) {
    (void)input.Line();
    server = Server::kEmbedded;
  }
  FakeExecutor exec;
  jetstream::MemoryStream stream;
  AppendLines(input.rest(), kMaxRecords, &stream);
  const absl::Status replayed = Replay(&exec, &stream, server);
  const auto report = CheckOf(&exec, &stream, server);
  if (!report.ok()) {
    // Of a newer version: then a replay refuses it too.
    JETD_CHECK(absl::IsFailedPrecondition(report.status())) << report.status();
    JETD_CHECK(!replayed.ok()) << report.status();
    return;
  }
  const uint64_t by_replay = report->counts.at(static_cast<size_t>(Damage::kIndex));
  JETD_CHECK(by_replay == 0 || report->damages() > by_replay) << ToText(*report);
  if (!replayed.ok() && server == Server::kOutside) {
    JETD_CHECK(report->damages() > 0) << replayed;
  }
}

}  // namespace
}  // namespace jetd::replication

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  static const bool quiet = [] {
    jetd::log::Init({.level = jetd::log::Level::kError});
    return true;
  }();
  if (quiet) jetd::replication::Try(jetd::FuzzInput(data, size_bytes));
  return 0;
}
