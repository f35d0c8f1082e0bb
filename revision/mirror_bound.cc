// SPDX-License-Identifier: Apache-2.0
#include "revision/mirror_bound.h"

#include <algorithm>
#include <utility>

namespace jetd::revision {

void MirrorBound::Update(const std::vector<jetstream::MirrorState>& mirrors) {
  std::map<std::string, Known> known;
  superseded_ = last_markers_ = kNone;
  for (const jetstream::MirrorState& mirror : mirrors) {
    const auto before = known_.find(mirror.name);
    Known now = before != known_.end() ? before->second : Known{.counted_from = mirror.last};
    if (mirror.fit == jetstream::MirrorState::Fit::kFits) {
      now.reached = now.counted_from = mirror.reached;
    } else if (mirror.fit == jetstream::MirrorState::Fit::kOther) {
      now.reached = StreamSeq{};
    }
    last_markers_ = std::min(last_markers_, now.reached);
    const bool past_its_cap = mirror.last > now.counted_from &&
                              mirror.last.value() - now.counted_from.value() > mirror.cap_records;
    if (!past_its_cap) superseded_ = std::min(superseded_, now.reached);
    known[mirror.name] = now;
  }
  known_ = std::move(known);
}

void MirrorBound::Distrust() {
  for (auto& [name, known] : known_) known.reached = StreamSeq{};
}

}  // namespace jetd::revision
