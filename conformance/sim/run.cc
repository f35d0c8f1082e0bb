// SPDX-License-Identifier: Apache-2.0
#include "conformance/sim/run.h"

namespace jetd::conformance::sim {

void Tally::Add(const Tally& other) {
  steps += other.steps;
  writes += other.writes;
  reads += other.reads;
  leases += other.leases;
  alarms += other.alarms;
  refused += other.refused;
  unknown += other.unknown;
  unknown_landed += other.unknown_landed;
  events += other.events;
  watches += other.watches;
  progress += other.progress;
  compacted += other.compacted;
  expired += other.expired;
  leaders += other.leaders;
  followers += other.followers;
  forwarded += other.forwarded;
  follower_reads += other.follower_reads;
  from_checkpoint += other.from_checkpoint;
  voids += other.voids;
  garbage += other.garbage;
  for (const auto& [kind, count] : other.faults) faults[kind] += count;
}

std::string Tally::Text() const {
  std::string text = Cat(
      steps, " steps, ", writes + reads + leases + alarms, " requests answered (", writes,
      " writes, ", reads, " reads, ", leases, " of leases, ", alarms, " of alarms), ", refused,
      " refused, ", unknown, " unknown (", unknown_landed, " happened), ", events, " events on ",
      watches, " watches, ", progress, " progress, ", compacted, " canceled as compacted, ",
      expired, " leases expired, ", leaders, " leaders, ", followers, " followers (",
      follower_reads, " reads and ", forwarded, " writes through them), ", from_checkpoint,
      " from a checkpoint, ", voids, " voids, ", garbage, " of garbage left; faults:");
  const char* separator = " ";
  for (const auto& [kind, count] : faults) {
    CatTo(text, separator, count, " ", kind);
    separator = ", ";
  }
  return text;
}

}  // namespace jetd::conformance::sim
