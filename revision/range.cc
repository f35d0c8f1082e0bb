// SPDX-License-Identifier: Apache-2.0
#include "revision/range.h"

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace jetd::revision {
namespace {

// A version with what it is sorted by, read once.
struct ByNumber {
  int64_t number;
  const KvBlock* kv;
};
struct ByText {
  std::string_view text;
  const KvBlock* kv;
};

int64_t NumberOf(const KvBlock* kv, SortTarget target) {
  switch (target) {
    case SortTarget::kVersion:
      return kv->version();
    case SortTarget::kCreate:
      return kv->create_revision().value();
    case SortTarget::kMod:
      return kv->mod_revision().value();
    case SortTarget::kKey:
    case SortTarget::kValue:
      break;
  }
  JETD_CHECK(false) << "not a number";
  return 0;
}

// Equal ones stay in key order, whichever the direction.
template <typename Item, typename Projection>
void SortItems(std::vector<Item>& items, SortOrder order, Projection by,
               std::vector<const KvBlock*>& out) {
  if (order == SortOrder::kDescend) {
    std::stable_sort(items.begin(), items.end(),
                     [by](const Item& a, const Item& b) { return by(a) > by(b); });
  } else {
    std::stable_sort(items.begin(), items.end(),
                     [by](const Item& a, const Item& b) { return by(a) < by(b); });
  }
  for (size_t i = 0; i < items.size(); ++i) out[i] = items[i].kv;
}

void SortKvs(std::vector<const KvBlock*>& kvs, SortOrder order, SortTarget target) {
  if (target == SortTarget::kKey) {
    if (order == SortOrder::kDescend) std::reverse(kvs.begin(), kvs.end());
    return;
  }
  if (target == SortTarget::kValue) {
    std::vector<ByText> items;
    items.reserve(kvs.size());
    for (const KvBlock* kv : kvs) items.push_back({kv->value(), kv});
    SortItems(
        items, order, [](const ByText& i) { return i.text; }, kvs);
    return;
  }
  std::vector<ByNumber> items;
  items.reserve(kvs.size());
  for (const KvBlock* kv : kvs) items.push_back({NumberOf(kv, target), kv});
  SortItems(
      items, order, [](const ByNumber& i) { return i.number; }, kvs);
}

// -1, 0 or 1 for what stands in the store against what the compare names.
int CompareNumber(int64_t a, int64_t b) { return a < b ? -1 : (a > b ? 1 : 0); }

int CompareTarget(const KvBlock* kv, const Compare& compare) {
  switch (compare.target) {
    case Compare::Target::kVersion:
      return CompareNumber(kv == nullptr ? 0 : kv->version(), compare.number);
    case Compare::Target::kCreate:
      return CompareNumber(kv == nullptr ? 0 : kv->create_revision().value(), compare.number);
    case Compare::Target::kMod:
      return CompareNumber(kv == nullptr ? 0 : kv->mod_revision().value(), compare.number);
    case Compare::Target::kLease:
      return CompareNumber(kv == nullptr ? 0 : kv->lease().value(), compare.number);
    case Compare::Target::kValue:
      break;
  }
  const std::string_view value = kv == nullptr ? std::string_view() : kv->value();
  return CompareNumber(value.compare(compare.value), 0);
}

bool Holds(const KvBlock* kv, const Compare& compare) {
  const int result = CompareTarget(kv, compare);
  switch (compare.result) {
    case Compare::Result::kEqual:
      return result == 0;
    case Compare::Result::kNotEqual:
      return result != 0;
    case Compare::Result::kGreater:
      return result > 0;
    case Compare::Result::kLess:
      return result < 0;
  }
  return true;
}

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

}  // namespace

bool NeedsSort(const RangeOp& op) {
  return op.sort_target != SortTarget::kKey || op.sort_order == SortOrder::kDescend;
}

RangeCollector::RangeCollector(const RangeOp& op)
    : op_(op),
      sort_(NeedsSort(op)),
      filter_(op.min_mod_revision != Revision() || op.max_mod_revision != Revision() ||
              op.min_create_revision != Revision() || op.max_create_revision != Revision()),
      limit_(op.limit > 0 ? op.limit : kNoLimit),
      keep_(!sort_                                                               ? limit_
            : limit_ < kNoLimit && op.sort_order == SortOrder::kNone && !filter_ ? limit_ + 1
                                                                                 : kNoLimit) {}

bool RangeCollector::Offer(const KvBlock* kv) {
  ++count_;
  if (op_.count_only || (filter_ && !Passes(kv))) return false;
  ++passed_;
  if (passed_ > keep_) return false;
  kvs_.push_back(kv);
  return true;
}

bool RangeCollector::Passes(const KvBlock* kv) const {
  const Revision mod = kv->mod_revision();
  if (op_.max_mod_revision != Revision() && mod > op_.max_mod_revision) return false;
  if (op_.min_mod_revision != Revision() && mod < op_.min_mod_revision) return false;
  const Revision create = kv->create_revision();
  if (op_.max_create_revision != Revision() && create > op_.max_create_revision) return false;
  return op_.min_create_revision == Revision() || create >= op_.min_create_revision;
}

void SortAndCut(const RangeOp& op, std::vector<const KvBlock*>* kvs) {
  SortKvs(*kvs, op.sort_order, op.sort_target);
  const auto limit = static_cast<size_t>(std::max<int64_t>(op.limit, 0));
  if (limit > 0 && kvs->size() > limit) kvs->resize(limit);
}

bool Compares(const KeyIndex& index, const ValueCache& values, const Compare& compare,
              Revision at) {
  const bool by_value = compare.target == Compare::Target::kValue;
  bool any = false;
  bool all = true;
  index.Visit(compare.keys, [&](const KeyIndex::Entry& entry) {
    const KvBlock* kv = KeyIndex::VersionAt(entry.newest(), at);
    if (kv == nullptr) return true;
    any = true;
    const KvRef loaded = by_value ? values.Load(kv) : KvRef();
    all = Holds(by_value ? loaded.get() : kv, compare);
    return all;
  });
  if (any) return all;
  return !by_value && Holds(nullptr, compare);
}

}  // namespace jetd::revision
