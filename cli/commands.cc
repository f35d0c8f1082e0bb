// SPDX-License-Identifier: Apache-2.0
#include "cli/check_command.h"
#include "cli/command.h"
#include "cli/completion_command.h"
#include "cli/diff_command.h"
#include "cli/get_command.h"
#include "cli/help_command.h"
#include "cli/history_command.h"
#include "cli/import_command.h"
#include "cli/mirror_command.h"
#include "cli/points_command.h"
#include "cli/promote_command.h"
#include "cli/restore_command.h"
#include "cli/tenant_command.h"
#include "cli/transactions_command.h"
#include "cli/usage_command.h"

namespace jetd::cli {

std::vector<std::unique_ptr<Command>> AllCommands() {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(std::make_unique<CheckCommand>());
  commands.push_back(std::make_unique<ImportCommand>());
  commands.push_back(std::make_unique<RestoreCommand>());
  commands.push_back(std::make_unique<MirrorCommand>());
  commands.push_back(std::make_unique<PromoteCommand>());
  commands.push_back(std::make_unique<TransactionsCommand>());
  commands.push_back(std::make_unique<PointsCommand>());
  commands.push_back(std::make_unique<GetCommand>());
  commands.push_back(std::make_unique<HistoryCommand>());
  commands.push_back(std::make_unique<DiffCommand>());
  commands.push_back(std::make_unique<CompletionCommand>());
  commands.push_back(std::make_unique<TenantCommand>());
  commands.push_back(std::make_unique<UsageCommand>());
  commands.push_back(std::make_unique<HelpCommand>());
  return commands;
}

}  // namespace jetd::cli
