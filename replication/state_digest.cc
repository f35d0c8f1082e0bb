// SPDX-License-Identifier: Apache-2.0
#include "replication/state_digest.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "revision/crc32c.h"

namespace jetd::replication {
namespace {

using Kind = StreamTransaction::Kind;

std::string HexOfLease(LeaseId id) {
  return absl::StrCat(absl::Hex(static_cast<uint64_t>(id.value())));
}

// Calls fn(name, left, right) for each name of either, in order; null where it is not there.
template <typename Map, typename Fn>
void Merge(const Map& left, const Map& right, const Fn& fn) {
  auto l = left.begin();
  auto r = right.begin();
  while (l != left.end() || r != right.end()) {
    if (r == right.end() || (l != left.end() && l->first < r->first)) {
      fn(l->first, &l->second, nullptr);
      ++l;
    } else if (l == left.end() || r->first < l->first) {
      fn(r->first, nullptr, &r->second);
      ++r;
    } else {
      fn(l->first, &l->second, &r->second);
      ++l;
      ++r;
    }
  }
}

}  // namespace

void StateDigest::Apply(const StreamTransaction& transaction) {
  if (!transaction.counts || transaction.ops.back().seq > upto_) return;
  revision_ = std::max(revision_, transaction.revision);
  for (const StreamTransaction::Op& op : transaction.ops) {
    // A list leaves it out: what ended it may be gone already.
    if (op.dropped) {
      const bool of_key = op.kind == Kind::kPut || op.kind == Kind::kDelete;
      if (of_key) keys_.erase(op.key);
      if (!of_key) leases_.erase(op.lease);
      continue;
    }
    switch (op.kind) {
      case Kind::kPut:
        keys_[op.key] = {.mod = transaction.revision,
                         .create = op.create_revision,
                         .version = op.version,
                         .lease = op.lease,
                         .value = revision::ExtendCrc32c(0, op.payload)};
        break;
      case Kind::kDelete:
        keys_.erase(op.key);
        break;
      case Kind::kLeaseGrant:
        leases_[op.lease] = revision::ExtendCrc32c(0, op.payload);
        break;
      case Kind::kLeaseGone:
        leases_.erase(op.lease);
        break;
      default:
        break;
    }
  }
}

uint32_t StateDigest::Hash() const {
  uint32_t crc = 0;
  for (const auto& [name, key] : keys_) {
    crc = revision::ExtendCrc32c(crc, name);
    crc = revision::ExtendCrc32c(
        crc, Cat(" ", name.size(), " ", key.mod.value(), " ", key.create.value(), " ", key.version,
                 " ", key.lease.value(), " ", key.value, "\n"));
  }
  for (const auto& [id, grant] : leases_) {
    crc = revision::ExtendCrc32c(crc, Cat("lease ", id.value(), " ", grant, "\n"));
  }
  return crc;
}

std::string StateDigest::Describe(const Key* key) {
  if (key == nullptr) return "nothing";
  return Cat("revision ", key->mod.value(), " (create ", key->create.value(), ", version ",
             key->version, ", lease ", HexOfLease(key->lease), ", value ", key->value, ")");
}

StateDigest::Difference StateDigest::Compare(const StateDigest& other, const std::string& here,
                                             const std::string& there) const {
  Difference difference;
  const auto note = [&](const std::string& what) {
    ++difference.count;
    if (difference.named.size() < kNamed) difference.named.push_back(what);
  };
  Merge(keys_, other.keys_, [&](const std::string& name, const Key* left, const Key* right) {
    if (left != nullptr && right != nullptr && *left == *right) return;
    note(Cat("key ", absl::CHexEscape(name), ": ", Describe(left), " ", here, ", ", Describe(right),
             " ", there));
  });
  Merge(leases_, other.leases_, [&](LeaseId id, const uint32_t* left, const uint32_t* right) {
    if (left != nullptr && right != nullptr && *left == *right) return;
    note(Cat("lease ", HexOfLease(id), ": ", left == nullptr ? "not there " : "granted ", here,
             ", ", right == nullptr ? "not there " : "granted ", there));
  });
  return difference;
}

}  // namespace jetd::replication
