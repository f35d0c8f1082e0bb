// SPDX-License-Identifier: Apache-2.0
#include "conformance/power/moment.h"

#include <array>
#include <cctype>
#include <utility>

namespace jetd::conformance::power {
namespace {

struct Row {
  const char* name;
  uint64_t weight;
};
constexpr std::array<Row, kMoments> kRows = {{{"any time", 24},
                                              {"sync", 10},
                                              {"roll-over", 15},
                                              {"removal", 10},
                                              {"rewrite", 5},
                                              {"value file", 5},
                                              {"stop", 6},
                                              {"checkpoint", 9},
                                              {"stopped", 4},
                                              {"start", 6},
                                              {"killed before", 6}}};

bool IsValueFile(const std::string& name) { return name.ends_with(".values"); }

bool Fits(Moment moment, const FileEvent& event) {
  switch (moment) {
    case Moment::kSync:
      return event.op == FileOp::kSync && IsBlock(event.name);
    case Moment::kRollOver:
      return event.op == FileOp::kCreate && IsBlock(event.name);
    case Moment::kRemoval:
      return event.op == FileOp::kRemove && IsBlock(event.name);
    case Moment::kRewrite:
      return event.op == FileOp::kRename && IsBlock(event.name);
    case Moment::kValueFile:
      return IsValueFile(event.name);
    case Moment::kCheckpoint:
      return event.name.starts_with("checkpoint") ||
             (event.op == FileOp::kSync && IsValueFile(event.name)) ||
             (event.op == FileOp::kSyncFolder && event.name == "values");
    case Moment::kStart:
      return true;
    default:
      return false;
  }
}

}  // namespace

const char* NameOf(Moment moment) { return kRows[static_cast<size_t>(moment)].name; }

Moment PickMoment(std::mt19937_64& random) {
  uint64_t dice = random() % 100;
  for (size_t i = 0; i < kRows.size(); ++i) {
    if (dice < kRows[i].weight) return static_cast<Moment>(i);
    dice -= kRows[i].weight;
  }
  return Moment::kAnyTime;
}

bool EndsServer(Moment moment) {
  return moment == Moment::kStop || moment == Moment::kCheckpoint || moment == Moment::kStopped;
}

Mount::Matches OperationOf(Moment moment, std::mt19937_64& random,
                           std::shared_ptr<std::atomic<bool>> met) {
  uint64_t most = 1;  // of those that fit, one of the first so many
  switch (moment) {
    case Moment::kAnyTime:
    case Moment::kStop:
    case Moment::kStopped:
    case Moment::kKilled:
      return nullptr;
    case Moment::kSync:
    case Moment::kValueFile:
      most = 40;
      break;
    case Moment::kCheckpoint:
      most = 8;
      break;
    case Moment::kStart:
      most = 150;
      break;
    default:
      break;
  }
  return [moment, left = random() % most, met = std::move(met)](const FileEvent& event) mutable {
    if (!Fits(moment, event) || left-- > 0) return false;
    met->store(true);
    return true;
  };
}

bool IsBlock(const std::string& name) {
  return name.ends_with(".blk") && std::isdigit(static_cast<unsigned char>(name[0])) != 0;
}

}  // namespace jetd::conformance::power
