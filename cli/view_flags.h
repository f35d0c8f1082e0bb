// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_VIEW_FLAGS_H_
#define JETD_CLI_VIEW_FLAGS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "CLI/App.hpp"
#include "absl/status/statusor.h"
#include "cli/output.h"
#include "cli/output_flag.h"
#include "cli/source_flags.h"
#include "nlohmann/json_fwd.hpp"
#include "replication/point.h"
#include "replication/state_at.h"

namespace jetd::cli {

// What the commands that look into the past have in common: where the bucket is, and how they show
// what they find.
class ViewFlags {
 public:
  void AddTo(CLI::App* app);
  // Checks --output first. The source, read as long as it takes, until ^C.
  [[nodiscard]] absl::StatusOr<replication::StreamSource> Source(Output* output) const;
  // For Source has said that it is one.
  [[nodiscard]] bool json() const {
    const auto form = output_.Read();
    return form.ok() && *form == OutputForm::kJson;
  }

 private:
  SourceFlags source_;
  OutputFlag output_;
};

// What --at, --from and --to take, for help texts.
inline constexpr char kPointHelp[] =
    "a revision, a time (2026-11-20T15:10:00Z), how long ago (10m), before:KEY, or now";

// "--at: …" before what is wrong with it.
[[nodiscard]] absl::StatusOr<replication::Point> ReadPoint(std::string_view flag,
                                                           const std::string& text);

// Shows how far a reading is.
[[nodiscard]] std::function<void(uint64_t)> ShowRecords(Output* output);

// One line, as lines of JSON are written: what is not UTF-8 becomes U+FFFD.
[[nodiscard]] std::string Dump(const nlohmann::json& json);
// "revision 17 (2026-11-20T15:10:00Z)".
[[nodiscard]] std::string ToText(const replication::State& state);
[[nodiscard]] nlohmann::json ToJson(const replication::State& state);
// Says what people should know before they trust times: that the stream's clock went back.
void WarnOfClock(const std::string& command, const replication::Points& points, Output* output);

}  // namespace jetd::cli

#endif  // JETD_CLI_VIEW_FLAGS_H_
