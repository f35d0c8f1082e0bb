// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_MIRROR_COMMAND_H_
#define JETD_CLI_MIRROR_COMMAND_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cli/command.h"
#include "cli/output_flag.h"
#include "cli/source_flags.h"
#include "nlohmann/json_fwd.hpp"
#include "replication/mirrors.h"
#include "replication/trim_rule.h"

namespace jetd::cli {

// `jetctl mirror ACTION`: replication/mirrors.h and replication/mirror_tools.h.
class MirrorCommand final : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "mirror"; }
  [[nodiscard]] std::string summary() const override {
    return "Copies of a bucket in other JetStream domains";
  }
  void AddFlags(CLI::App* app) override;
  [[nodiscard]] absl::StatusOr<int> Run(Output* output) override;

 private:
  // What a verb does, on the mirrors of `origin`.
  using Action = absl::StatusOr<int> (MirrorCommand::*)(replication::Mirrors* mirrors,
                                                        const replication::StreamSource& origin,
                                                        Output* output) const;
  struct Verb {
    const char* name;
    const char* summary;
    Action run;
  };
  static const Verb kVerbs[];

  [[nodiscard]] absl::StatusOr<int> Add(replication::Mirrors* mirrors,
                                        const replication::StreamSource& origin,
                                        Output* output) const;
  [[nodiscard]] absl::StatusOr<int> List(replication::Mirrors* mirrors,
                                         const replication::StreamSource& origin,
                                         Output* output) const;
  [[nodiscard]] absl::StatusOr<int> Status(replication::Mirrors* mirrors,
                                           const replication::StreamSource& origin,
                                           Output* output) const;
  [[nodiscard]] absl::StatusOr<int> Verify(replication::Mirrors* mirrors,
                                           const replication::StreamSource& origin,
                                           Output* output) const;
  [[nodiscard]] absl::StatusOr<int> Trim(replication::Mirrors* mirrors,
                                         const replication::StreamSource& origin,
                                         Output* output) const;
  [[nodiscard]] absl::StatusOr<int> Remove(replication::Mirrors* mirrors,
                                           const replication::StreamSource& origin,
                                           Output* output) const;
  // `mirrors` is null: it is the mirror's own server that is asked, which may be alone.
  [[nodiscard]] absl::StatusOr<int> Attend(replication::Mirrors* mirrors,
                                           const replication::StreamSource& mirror,
                                           Output* output) const;
  // The mirror that is named, where its records are read.
  [[nodiscard]] absl::StatusOr<replication::StreamSource> Source(replication::Mirrors* mirrors,
                                                                 Output* output) const;
  void AddFlagsOf(std::string_view verb, CLI::App* sub);
  [[nodiscard]] absl::Status CheckFlags(std::string_view verb) const;
  void Show(const nlohmann::json& json, const std::string& text, Output* output) const;

  CLI::App* app_ = nullptr;  // of this command; lives as long as it is run
  SourceFlags source_;
  OutputFlag output_;
  std::string name_, domain_, horizon_, metrics_url_;
  uint64_t cap_ = jetstream::MirrorDeclaration::kDefaultCap;
  int replicas_ = 1;
  bool replace_ = false, keep_data_ = false, yes_ = false, dry_run_ = false, json_ = false;
};

// "17", a revision; or "2026-11-20T15:10:00Z". InvalidArgument with one line for people.
[[nodiscard]] absl::StatusOr<replication::TrimRule::Horizon> ReadHorizon(const std::string& text);

// What the /metrics page of a leading jetd says of what it has compared with a mirror.
struct MirrorAuditFigures {
  uint64_t verified = 0;   // sequence
  double verified_at = 0;  // when that was all, seconds since 1970; 0: not yet
  uint64_t differences = 0;
};
// Nothing: it says nothing of that mirror; most likely it does not lead.
[[nodiscard]] std::optional<MirrorAuditFigures> ReadMirrorAudit(std::string_view page,
                                                                const std::string& domain,
                                                                const std::string& mirror);

}  // namespace jetd::cli

#endif  // JETD_CLI_MIRROR_COMMAND_H_
