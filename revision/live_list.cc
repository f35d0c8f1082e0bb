// SPDX-License-Identifier: Apache-2.0
#include "revision/live_list.h"

#include <algorithm>
#include <iterator>
#include <utility>

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

// Of two that speak of a sequence the one that says it is gone is right.
void LiveList::Add(jetstream::LiveRecord record) {
  const auto last = record.range.last;
  StreamSeq from = record.range.first;  // nothing below is left to say
  auto next_live = record.live.begin();
  // Takes what the record says of the sequences up to and with `end`.
  const auto take = [&](StreamSeq end) {
    const auto begin = next_live;
    next_live = std::upper_bound(begin, record.live.end(), end);
    return std::vector<StreamSeq>(begin, next_live);
  };
  auto at = stretches_.upper_bound(from);
  if (at != stretches_.begin() && std::prev(at)->second.range.last >= from) --at;
  for (; from <= last; ++at) {
    const bool gap = at == stretches_.end() || at->second.range.first > from;
    if (gap) {
      const StreamSeq end = at == stretches_.end() || at->second.range.first > last
                                ? last
                                : at->second.range.first.Prev();
      at = stretches_.emplace(from, jetstream::LiveRecord{{from, end}, take(end)}).first;
      from = end.Next();
      continue;
    }
    jetstream::LiveRecord& there = at->second;
    const StreamSeq end = std::min(there.range.last, last);
    const std::vector<StreamSeq> live = take(end);
    std::erase_if(there.live, [&](StreamSeq seq) {
      return from <= seq && seq <= end && !std::binary_search(live.begin(), live.end(), seq);
    });
    from = end.Next();
  }
}

bool LiveList::Dead(StreamSeq seq) const {
  auto at = stretches_.upper_bound(seq);
  if (at == stretches_.begin()) return false;
  const jetstream::LiveRecord& there = (--at)->second;
  return seq <= there.range.last && !std::binary_search(there.live.begin(), there.live.end(), seq);
}

}  // namespace jetd::revision
