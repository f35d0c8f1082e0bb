// SPDX-License-Identifier: Apache-2.0
//
// What clients did and what the store did, in small numbers instead of text: keys are counted from
// 0 in their order, no two puts of a run have the same value. Plain values; any thread.
#ifndef JETD_CONFORMANCE_HISTORY_OPERATION_H_
#define JETD_CONFORMANCE_HISTORY_OPERATION_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace jetd::conformance::history {

using KeyId = uint32_t;

// Names the put that wrote it: who, the how manieth operation, which part of it.
using ValueId = uint64_t;
inline constexpr ValueId kAbsent = 0;             // no such key
inline constexpr ValueId kStrange = ~ValueId{0};  // a value that no put of the run has, or torn
[[nodiscard]] constexpr ValueId MakeValueId(uint32_t client, uint64_t number, uint32_t part) {
  return (uint64_t{client} + 1) << 44U | number << 8U | part;
}

// One key at one revision; all 0 if it is not there.
struct KeyState {
  ValueId value = kAbsent;
  int64_t create = 0;
  int64_t mod = 0;
  int64_t version = 0;
  friend bool operator==(const KeyState&, const KeyState&) = default;
};

// A guard of a transaction: the key is (or is not) as `expected`, which the client once saw. Each
// can be said without revisions too, since values are unique: value and modification revision name
// the same put. kVersion and kCreate are used for keys that are not there, kValue for those that
// are, and only with `equal`.
struct Compare {
  enum class Target : uint8_t { kMod, kValue, kVersion, kCreate };
  KeyId key = 0;
  Target target = Target::kMod;
  bool equal = true;
  KeyState expected{};
};

struct Action {
  enum class Kind : uint8_t { kGet, kPut, kDelete };
  Kind kind = Kind::kGet;
  KeyId first = 0;  // first..last, both in; a put has one
  KeyId last = 0;
  ValueId value = kAbsent;  // of a put
  bool prev_kv = false;     // of a put or delete: the answer tells what was there
};

struct Request {
  bool txn = false;  // otherwise `success` is one action, sent as a call of its own
  std::vector<Compare> compares{};
  std::vector<Action> success{};
  std::vector<Action> failure{};
  bool serializable = false;  // a read that may show any past
  int64_t at_revision = 0;    // a read of this revision; 0: the newest
};

struct ActionAnswer {
  // A get: what is there. A put or delete with prev_kv: what was there. In order of keys.
  std::vector<std::pair<KeyId, KeyState>> kvs{};
  int64_t deleted = 0;
  friend bool operator==(const ActionAnswer&, const ActionAnswer&) = default;
};

enum class Fate : uint8_t {
  kAnswered,
  kRefused,  // answered with an error that says it did not and will not happen
  kUnknown,  // no answer, or an error that leaves it open: may happen any time, or never
};

struct Operation {
  uint32_t client = 0;
  uint64_t number = 0;  // in its client's order
  int64_t call_ns = 0;  // steady clock, before it was sent
  int64_t return_ns = 0;
  Request request{};
  Fate fate = Fate::kUnknown;
  // kAnswered:
  int64_t revision = 0;  // of the answer's header
  bool succeeded = true;
  std::vector<ActionAnswer> answers{};
  std::string malformed{};  // what is wrong with the answer's shape, "" if nothing
  // otherwise:
  std::string error{};
};

// One revision of the store: all that it changed. A deleted key's state has value kAbsent, its mod
// is the revision.
struct Change {
  KeyId key = 0;
  KeyState state{};
  friend bool operator==(const Change&, const Change&) = default;
};
struct Transaction {
  int64_t revision = 0;
  std::vector<Change> changes{};
  friend bool operator==(const Transaction&, const Transaction&) = default;
};

// For messages.
[[nodiscard]] std::string Text(const KeyState& state);
[[nodiscard]] std::string Text(const ActionAnswer& answer);
[[nodiscard]] std::string Text(const Operation& operation);
[[nodiscard]] std::string Text(const Transaction& transaction);
[[nodiscard]] std::string ValueText(ValueId value);

}  // namespace jetd::conformance::history

#endif  // JETD_CONFORMANCE_HISTORY_OPERATION_H_
