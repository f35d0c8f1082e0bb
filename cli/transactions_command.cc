// SPDX-License-Identifier: Apache-2.0
#include "cli/transactions_command.h"

#include <cstdio>
#include <utility>

#include "base/strings.h"
#include "replication/stream_dump.h"
#include "replication/transaction_text.h"

namespace jetd::cli {
namespace {

using replication::ShowValues;
using replication::StreamTransaction;

constexpr char kExamples[] =
    "One line a transaction: revision, term, time, and what was put or deleted. Ends with exit\n"
    "code 1 if not all of it can be read, or if it breaks a rule that it must never break; then\n"
    "`jetctl check` says more.\n"
    "\n"
    "Examples:\n"
    "  jetctl transactions --data-dir /var/lib/jetd --keys-only\n"
    "  jetctl transactions --nats-url nats://n1:4222 --bucket tenant -o json --values";

bool OfKeys(const StreamTransaction& transaction) {
  const StreamTransaction::Kind kind = transaction.ops.front().kind;
  return kind == StreamTransaction::Kind::kPut || kind == StreamTransaction::Kind::kDelete;
}

}  // namespace

void TransactionsCommand::AddFlags(CLI::App* app) {
  app->footer(kExamples);
  source_.AddTo(app);
  output_.AddTo(app, "one object a line");
  app->add_flag("--values", values_, "Show values, not only their size");
  app->add_flag("--keys-only", keys_only_, "Leave out leases, terms, compactions and barriers");
  app->add_flag("--void", void_, "Show what does not count too, marked as void");
}

absl::StatusOr<int> TransactionsCommand::Run(Output* output) {
  const auto form = output_.Read();
  if (!form.ok()) return form.status();
  const bool json = *form == OutputForm::kJson;
  auto source = source_.Read();
  if (!source.ok()) return source.status();
  source->patience = std::chrono::seconds(0);  // as long as it takes
  source->interrupted = output->interrupted();
  const ShowValues show = values_ ? ShowValues::kYes : ShowValues::kNo;
  output->Progress("opening the store");
  const auto result = replication::DumpStream(*source, [&](const StreamTransaction& transaction) {
    if (!transaction.counts && !void_) return;
    if (keys_only_ && !OfKeys(transaction)) return;
    output->Print(Cat(json ? ToJson(transaction, show) : ToText(transaction, show), "\n"));
  });
  if (!result.ok()) return result.status();
  output->Say(name(), Cat("read up to sequence ", result->last.value(), ": revision ",
                          result->revision.value(), ", compacted ", result->compacted.value(),
                          ", term ", result->term.value()));
  return kExitOk;
}

}  // namespace jetd::cli
