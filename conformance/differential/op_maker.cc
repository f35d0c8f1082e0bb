// SPDX-License-Identifier: Apache-2.0
#include "conformance/differential/op_maker.h"

#include <algorithm>
#include <vector>

namespace jetd::conformance::differential {
std::string OpMaker::ExistingKey() {
  return model_.keys().empty() ? AnyKey() : random_.Pick(model_.keys()).first;
}

std::string OpMaker::AbsentKey() {
  for (int i = 0; i < 20; ++i) {
    std::string key = AnyKey();
    if (!model_.keys().contains(key)) return key;
  }
  return AnyKey() + "-absent";
}

std::string OpMaker::Value() {
  if (random_.Chance(500)) return "";
  if (random_.Chance(100)) return random_.Bytes(static_cast<size_t>(random_.Between(1000, 60'000)));
  if (random_.Chance(1000)) return "v" + std::to_string(random_.Between(0, 3));
  return random_.Bytes(static_cast<size_t>(random_.Between(1, 60)));
}

int64_t OpMaker::LiveLease() {
  std::vector<int64_t> usable;
  for (const auto& [id, lease] : model_.leases()) {
    if (lease.generated && generated_ == GeneratedLeases::kNoKeys) continue;
    if (lease.ttl >= 100) usable.push_back(id);
  }
  return usable.empty() ? 0 : random_.Pick(usable);
}

int64_t OpMaker::OldRevision() {
  const int64_t oldest = std::max<int64_t>(1, model_.compacted());
  const int64_t newest = model_.revision();
  // Where a server is wrong by one; by chance alone these hardly ever come.
  if (random_.Chance(3000)) {
    return random_.Chance(5000) ? newest : std::min(oldest + random_.Between(0, 1), newest);
  }
  return random_.Between(oldest, newest);
}

std::pair<std::string, std::string> OpMaker::SomeRange() {
  const std::string nul(1, '\0');
  const int64_t kind = random_.Between(0, 99);
  if (kind < 45) {
    const std::string& prefix = keys_.Prefix(random_);
    return {prefix, Keyspace::EndOf(prefix)};
  }
  if (kind < 60) return {AnyKey(), nul};
  if (kind < 70) return {nul, nul};
  std::string a = AnyKey(), b = AnyKey();
  if (a > b && kind < 95) std::swap(a, b);
  return {a, b};
}

pb::PutRequest OpMaker::Put() {
  pb::PutRequest put;
  put.set_key(random_.Chance(6000) ? ExistingKey() : AnyKey());
  put.set_value(Value());
  put.set_prev_kv(random_.Chance(2000));
  if (random_.Chance(1500)) put.set_lease(LiveLease());
  if (!model_.keys().contains(put.key())) return put;
  if (random_.Chance(400)) {
    put.set_ignore_value(true);
    put.clear_value();
  }
  if (random_.Chance(400)) {
    put.set_ignore_lease(true);
    put.clear_lease();
  }
  return put;
}

pb::DeleteRangeRequest OpMaker::Delete() {
  pb::DeleteRangeRequest remove;
  remove.set_prev_kv(random_.Chance(3000));
  const int64_t kind = random_.Between(0, 999);
  remove.set_key(kind < 980 ? ExistingKey() : AnyKey());
  if (kind >= 640 && kind < 965) {
    // From one key to a few keys further.
    auto it = model_.keys().lower_bound(remove.key());
    for (int64_t steps = random_.Between(1, 3); steps > 0 && it != model_.keys().end(); --steps) {
      ++it;
    }
    remove.set_range_end(it == model_.keys().end() ? remove.key() + "\x01" : it->first);
  } else if (kind >= 965 && kind < 975) {
    const auto [start, end] = SomeRange();
    remove.set_key(start);
    remove.set_range_end(end);
  }
  return remove;
}

void OpMaker::AddOptions(pb::RangeRequest& range) {
  if (random_.Chance(3500)) range.set_limit(random_.Between(1, random_.Chance(5000) ? 4 : 60));
  if (random_.Chance(2500)) {
    range.set_sort_order(static_cast<pb::RangeRequest::SortOrder>(random_.Between(0, 2)));
    range.set_sort_target(static_cast<pb::RangeRequest::SortTarget>(random_.Between(0, 4)));
  }
  range.set_serializable(random_.Chance(2000));
  range.set_keys_only(random_.Chance(1500));
  range.set_count_only(random_.Chance(1000));
  if (random_.Chance(700)) range.set_min_mod_revision(OldRevision());
  if (random_.Chance(700)) range.set_max_mod_revision(OldRevision());
  if (random_.Chance(700)) range.set_min_create_revision(OldRevision());
  if (random_.Chance(700)) range.set_max_create_revision(OldRevision());
  if (random_.Chance(100)) range.set_limit(-1);
}

pb::RangeRequest OpMaker::RangeInTxn() {
  pb::RangeRequest range;
  if (random_.Chance(5000)) {
    range.set_key(random_.Chance(8000) ? ExistingKey() : AnyKey());
  } else {
    const auto [start, end] = SomeRange();
    range.set_key(start);
    range.set_range_end(end);
  }
  if (random_.Chance(2500)) range.set_revision(OldRevision());
  AddOptions(range);
  return range;
}

pb::RangeRequest OpMaker::Range() {
  pb::RangeRequest range = RangeInTxn();
  if (random_.Chance(100)) range.set_revision(-random_.Between(1, 3));
  return range;
}

}  // namespace jetd::conformance::differential
