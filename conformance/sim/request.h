// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_SIM_REQUEST_H_
#define JETD_CONFORMANCE_SIM_REQUEST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/types.h"
#include "revision/request.h"

namespace jetd::conformance::sim {

// One put, delete or range, with bytes of its own.
struct Action {
  enum class Kind { kPut, kDelete, kRange };
  Kind kind = Kind::kRange;
  std::string key;
  std::string end;    // as KeyRange::end
  std::string value;  // of a put; every put of a run has another
  LeaseId lease;
  bool prev_kv = false;
  // Of a range.
  Revision revision;
  int64_t limit = 0;
  bool serializable = false;
  bool keys_only = false;
  bool count_only = false;
};

struct Comparison {
  revision::Compare::Target target = revision::Compare::Target::kMod;
  revision::Compare::Result result = revision::Compare::Result::kEqual;
  std::string key;
  int64_t number = 0;
  std::string value;
};

// What a client asks of the key space: a transaction, or one action by itself. The keys of the
// actions of a branch are different ones.
struct Request {
  bool txn = false;
  std::vector<Comparison> compares;
  std::vector<Action> success;  // not a transaction: exactly one
  std::vector<Action> failure;
};

// Both with views into their argument, which must stay where it is.
[[nodiscard]] revision::Op MakeOp(const Request& request);
[[nodiscard]] revision::RangeOp MakeRange(const Action& range);

[[nodiscard]] std::string ToString(const Request& request);

}  // namespace jetd::conformance::sim

#endif  // JETD_CONFORMANCE_SIM_REQUEST_H_
