// SPDX-License-Identifier: Apache-2.0
#include "revision/live_list.h"

#include <algorithm>

#include "base/check.h"

namespace jetd::revision {

void LiveSurvey::Note(StreamSeq seq) {
  if (seq > bound_) return;
  JETD_CHECK(seq >= from_) << "sequence " << seq << " is in a record that was given";
  constexpr uint64_t kMask = (uint64_t{1} << kBucketBits) - 1;
  buckets_[seq.value() >> kBucketBits].push_back(static_cast<uint16_t>(seq.value() & kMask));
}

std::optional<jetstream::LiveRecord> LiveSurvey::NextRecord(size_t max_live) {
  if (from_ > bound_) return std::nullopt;
  jetstream::LiveRecord record;
  record.range = {from_, bound_};
  while (!buckets_.empty()) {
    auto& [high, lows] = *buckets_.begin();
    std::sort(lows.begin(), lows.end());
    lows.erase(std::unique(lows.begin(), lows.end()), lows.end());
    const size_t take = std::min(lows.size(), max_live - record.live.size());
    for (size_t i = 0; i < take; ++i) record.live.emplace_back((high << kBucketBits) + lows[i]);
    if (take < lows.size()) {
      lows.erase(lows.begin(), lows.begin() + static_cast<std::ptrdiff_t>(take));
      record.range.last = record.live.back();
      break;
    }
    buckets_.erase(buckets_.begin());
  }
  from_ = record.range.last.Next();
  return record;
}

bool LiveList::Dead(StreamSeq seq) const {
  return std::any_of(records_.begin(), records_.end(), [seq](const jetstream::LiveRecord& record) {
    return record.range.first <= seq && seq <= record.range.last &&
           !std::binary_search(record.live.begin(), record.live.end(), seq);
  });
}

}  // namespace jetd::revision
