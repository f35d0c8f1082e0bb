// SPDX-License-Identifier: Apache-2.0
//
// etcd's KV requests and answers as plain values, free of protobuf. Strings in requests are views:
// whoever makes a request keeps their bytes alive until it is answered, since a request may be
// evaluated more than once.
#ifndef JETD_REVISION_REQUEST_H_
#define JETD_REVISION_REQUEST_H_

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "base/types.h"
#include "revision/kv.h"

namespace jetd::revision {

// A set of keys, as etcd spells it: `end` empty: the key alone; `end` "\0" (one zero byte): all
// keys from `key` on; otherwise [key, end), which is empty if end <= key.
struct KeyRange {
  std::string_view key = {};
  std::string_view end = {};

  [[nodiscard]] bool single() const { return end.empty(); }
  [[nodiscard]] bool open_ended() const { return end.size() == 1 && end[0] == '\0'; }
  [[nodiscard]] bool Contains(std::string_view k) const {
    if (single()) return k == key;
    return k >= key && (open_ended() || k < end);
  }
};

enum class SortOrder { kNone, kAscend, kDescend };
enum class SortTarget { kKey, kVersion, kCreate, kMod, kValue };

struct RangeOp {
  KeyRange keys = {};
  int64_t limit = 0;       // 0: none
  Revision revision = {};  // 0: newest
  SortOrder sort_order = SortOrder::kNone;
  SortTarget sort_target = SortTarget::kKey;
  bool serializable = false;
  bool keys_only = false;
  bool count_only = false;
  Revision min_mod_revision = {}, max_mod_revision = {};        // 0: no bound
  Revision min_create_revision = {}, max_create_revision = {};  // 0: no bound
};

struct PutOp {
  std::string_view key = {};
  std::string_view value = {};
  LeaseId lease = {};
  bool prev_kv = false;
  bool ignore_value = false;  // keep the value there is; kKeyNotFound if there is none
  bool ignore_lease = false;
};

struct DeleteOp {
  KeyRange keys = {};
  bool prev_kv = false;
};

struct Compare {
  enum class Target { kVersion, kCreate, kMod, kValue, kLease };
  enum class Result { kEqual, kGreater, kLess, kNotEqual };
  Target target = Target::kVersion;
  Result result = Result::kEqual;
  // A range compares every key in it. An empty one compares as a key whose numbers are all 0, and
  // is false for kValue.
  KeyRange keys = {};
  int64_t number = 0;           // kVersion, kCreate, kMod, kLease
  std::string_view value = {};  // kValue
};

struct Op;
struct TxnOp {
  std::vector<Compare> compares;
  std::vector<Op> success;
  std::vector<Op> failure;
};
struct Op {
  std::variant<RangeOp, PutOp, DeleteOp, TxnOp> v;
};

// `revision` of each result is what etcd puts into that answer's own header.
struct RangeResult {
  Revision revision;
  std::vector<KvRef> kvs;  // keys_only: any may be cold, and the encoder leaves out the values
  int64_t count = 0;       // keys in the range, limit or not
  bool more = false;       // limit cut the answer
  bool keys_only = false;
};
struct PutResult {
  Revision revision;
  KvRef prev;  // null: not asked for, or none
};
struct DeleteResult {
  Revision revision;
  int64_t deleted = 0;
  std::vector<KvRef> prev_kvs;  // if asked for
};
struct OpResult;
struct TxnResult {
  Revision revision;
  bool succeeded = false;
  std::vector<OpResult> responses;
};
struct OpResult {
  std::variant<RangeResult, PutResult, DeleteResult, TxnResult> v;
};

// True if running `op` can change the store (either branch of a transaction counts).
[[nodiscard]] bool MayWrite(const Op& op);

}  // namespace jetd::revision

#endif  // JETD_REVISION_REQUEST_H_
