// SPDX-License-Identifier: Apache-2.0
#include "cli/promote_command.h"

#include <chrono>
#include <utility>

#include "base/strings.h"
#include "cli/flags.h"
#include "cli/view_flags.h"
#include "nlohmann/json.hpp"

namespace jetd::cli {
namespace {

using replication::Promotion;

constexpr char kExamples[] =
    "--nats-url is a server of the mirror's domain. If the origin answers, it is sealed, which no\n"
    "one can undo, once both states were compared and what the mirror has not got yet has come: a\n"
    "mirror that is no copy is refused, but for --despite-differences. If it does not, nobody may\n"
    "serve it any more: its jetd refuses to as soon as it can ask this domain, and not before.\n"
    "The revision is bumped past all that the origin can have answered, and everything\n"
    "before counts as compacted, so that clients list anew.\n"
    "\n"
    "Examples:\n"
    "  jetctl promote --nats-url nats://dr1:4222 --bucket tenant\n"
    "      what it would do\n"
    "  jetctl promote --nats-url nats://dr1:4222 --bucket tenant --yes";

// What becomes, or became, of the origin.
std::string TextOf(const Promotion& promotion, const char* sealed) {
  const std::string origin = Cat("the origin in the domain ", promotion.origin_domain);
  switch (promotion.origin) {
    case Promotion::Origin::kSealed:
      return Cat(origin, sealed);
    case Promotion::Origin::kGone:
      return Cat(origin, " is gone");
    case Promotion::Origin::kUnreachable:
      break;
  }
  return Cat(origin, " does not answer: make sure that no jetd serves it any more");
}

const char* NameOf(Promotion::Origin origin) {
  switch (origin) {
    case Promotion::Origin::kSealed:
      return "sealed";
    case Promotion::Origin::kGone:
      return "gone";
    case Promotion::Origin::kUnreachable:
      break;
  }
  return "unreachable";
}

std::string JsonOf(const std::string& bucket, const Promotion& promotion, bool promoted) {
  nlohmann::json json = {{"bucket", bucket},
                         {"promoted", promoted},
                         {"last_sequence", promotion.last.value()},
                         {"origin_domain", promotion.origin_domain}};
  if (promoted) {
    json["origin"] = NameOf(promotion.origin);
    json["newest_revision"] = promotion.newest.value();
    json["revision"] = promotion.bumped.value();
    json["missing_sequences"] = promotion.missing;
    if (!promotion.uncompared.empty()) json["uncompared"] = promotion.uncompared;
  } else {
    json["origin_answers"] = promotion.origin == Promotion::Origin::kSealed;
  }
  json["doubted"] = !promotion.doubted.empty();
  return Cat(json.dump(), "\n");
}

}  // namespace

void PromoteCommand::AddFlags(CLI::App* app) {
  app->footer(kExamples);
  source_.AddTo(app);
  AddNumber(app, kNoHeading, "--bump", &bump_, "How far the revision goes up [1000000000]",
            int64_t{1});
  app->add_flag("--despite-differences", despite_,
                "Compare nothing, and promote what may be no copy of its origin");
  app->add_flag("--yes", yes_, "Really; without it nothing is changed");
  output_.AddTo(app);
}

absl::StatusOr<int> PromoteCommand::Run(Output* output) {
  const auto form = output_.Read();
  if (!form.ok()) return form.status();
  auto source = source_.Read();
  if (!source.ok()) return source.status();
  source->patience = std::chrono::seconds(0);  // as long as it takes
  source->interrupted = output->interrupted();
  source->progress = ShowRecords(output);
  replication::PromotionOptions options;
  options.mirror = *std::move(source);
  options.bump = bump_;
  if (despite_) options.differences = replication::PromotionOptions::Differences::kAccept;
  options.say = [output](std::string_view line) { output->Progress(line); };
  const auto look = replication::LookAtPromotion(options);
  if (!look.ok()) return look.status();
  if (!look->doubted.empty() && *form == OutputForm::kTable) {
    output->Print(Cat("ALARM: ", look->doubted, "\n"));
  }
  if (!yes_) {
    output->Print(*form == OutputForm::kJson
                      ? JsonOf(options.mirror.bucket, *look, /*promoted=*/false)
                      : Cat("the mirror of bucket ", options.mirror.bucket, " ends at sequence ",
                            look->last.value(), "\n",
                            TextOf(*look, " answers, and would be sealed"), "\n"));
    output->Say(name(), "nothing was changed; give --yes to promote it");
    return kExitFailed;
  }
  const auto promoted = replication::Promote(options);
  if (!promoted.ok()) return promoted.status();
  if (*form == OutputForm::kJson) {
    output->Print(JsonOf(options.mirror.bucket, *promoted, /*promoted=*/true));
    return kExitOk;
  }
  output->EndProgress();
  output->Print(Cat("bucket ", options.mirror.bucket, " is a primary: revision ",
                    promoted->newest.value(), " was the newest, it is at ",
                    promoted->bumped.value(), " now and compacted up to there\n",
                    TextOf(*promoted, " is sealed"), "\n"));
  if (!promoted->uncompared.empty()) {
    output->Print(Cat("it was not compared with the origin: ", promoted->uncompared, "\n"));
  }
  if (promoted->missing > 0) {
    output->Print(Cat("the last ", promoted->missing, " sequences of the origin are not here\n"));
  }
  return kExitOk;
}

}  // namespace jetd::cli
