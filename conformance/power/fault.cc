// SPDX-License-Identifier: Apache-2.0
#include "conformance/power/fault.h"

#include <string>
#include <vector>

#include "conformance/power/moment.h"

namespace jetd::conformance::power {
namespace {

constexpr int kAlways = 1 << 30;

Mount::Matches OnBlocks(FileOp op) {
  return [op](const FileEvent& event) { return event.op == op && IsBlock(event.name); };
}

Mount::Matches OnNames(FileOp op, const std::string& part) {
  return [op, part](const FileEvent& event) {
    return event.op == op && event.name.find(part) != std::string::npos;
  };
}

const std::vector<Fault>& Faults() {
  static const std::vector<Fault>* const kFaults = new std::vector<Fault>{
      // One alone may be nats-server's own sync.
      {.name = "a sync of a block", .matches = OnBlocks(FileOp::kSync)},
      {.name = "every sync of a block",
       .matches = OnBlocks(FileOp::kSync),
       .times = kAlways,
       .must_end = true},
      {.name = "every sync of the blocks' folder",
       .matches = OnNames(FileOp::kSyncFolder, "msgs"),
       .times = kAlways,
       .must_end = true},
      {.name = "a write to a block", .matches = OnBlocks(FileOp::kWrite)},
      {.name = "every write to a block", .matches = OnBlocks(FileOp::kWrite), .times = kAlways},
      {.name = "a new block", .matches = OnBlocks(FileOp::kCreate)},
      {.name = "every removal of a block", .matches = OnBlocks(FileOp::kRemove), .times = kAlways},
      {.name = "every write to value files",
       .matches = OnNames(FileOp::kWrite, ".values"),
       .times = kAlways},
      {.name = "a write to the checkpoint",
       .matches = OnNames(FileOp::kWrite, "checkpoint"),
       .at_stop = true},
      {.name = "a sync of the checkpoint",
       .matches = OnNames(FileOp::kSync, "checkpoint"),
       .at_stop = true},
      {.name = "the checkpoint's name",
       .matches = OnNames(FileOp::kRename, "checkpoint"),
       .at_stop = true},
      {.name = "a sync of a value file",
       .matches = OnNames(FileOp::kSync, ".values"),
       .at_stop = true},
      {.name = "a sync of the value files' folder",
       .matches = OnNames(FileOp::kSyncFolder, "values"),
       .at_stop = true},
  };
  return *kFaults;
}

}  // namespace

const Fault& FaultOf(int number) { return Faults()[static_cast<size_t>(number) % Faults().size()]; }

int FaultCount() { return static_cast<int>(Faults().size()); }

}  // namespace jetd::conformance::power
