// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_HISTORY_KEY_SPACE_H_
#define JETD_CONFORMANCE_HISTORY_KEY_SPACE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "conformance/history/operation.h"

namespace jetd::conformance::history {

// The keys of a run, groups of a few, by number and by name: /history/g0007/k3. Numbers and names
// have one order. Immutable; any thread.
class KeySpace {
 public:
  // REQUIRES: groups <= 10'000, group_size <= 10.
  KeySpace(size_t groups, size_t group_size);

  [[nodiscard]] size_t size() const { return groups_ * group_size_; }
  [[nodiscard]] size_t groups() const { return groups_; }
  [[nodiscard]] size_t group_size() const { return group_size_; }

  // All keys begin so, and nobody else's.
  [[nodiscard]] static std::string Prefix();
  [[nodiscard]] std::string Name(KeyId key) const;
  [[nodiscard]] std::optional<KeyId> Find(std::string_view name) const;

 private:
  const size_t groups_;
  const size_t group_size_;
};

// The bytes that a put of this value writes: its name, and behind that a few bytes or, now and
// then, some thousand, by which a torn or mixed value is known. REQUIRES: a value of MakeValueId.
[[nodiscard]] std::string ValueBytes(ValueId value);
// kStrange unless these are exactly the bytes of a value.
[[nodiscard]] ValueId ValueOf(std::string_view bytes);

}  // namespace jetd::conformance::history

#endif  // JETD_CONFORMANCE_HISTORY_KEY_SPACE_H_
