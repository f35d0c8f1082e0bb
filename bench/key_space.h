// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BENCH_KEY_SPACE_H_
#define JETD_BENCH_KEY_SPACE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "etcdclient/client.h"

namespace jetd::bench {

inline constexpr int kNamespaces = 100;

// The smallest key above all that start with the prefix.
[[nodiscard]] std::string PrefixEnd(std::string prefix);

// Values that cannot be compressed, and that say what they are: the time when their write was due,
// the number of their key, and random bytes that follow from both. So an answer can be checked to
// the last byte although nobody remembers what was written.
//
//   | due_ns (8) | index (8) | pool[offset(due_ns, index) …) |
//
// Constant after construction: any thread.
class ValueMaker {
 public:
  static constexpr size_t kLeast = 16;
  static constexpr size_t kMost = size_t{2} << 20;

  ValueMaker();

  // `size_bytes` between kLeast and kMost.
  void Make(int64_t due_ns, int64_t index, size_t size_bytes, std::string* out) const;
  // When the write of this value was due. Nothing if it is not a value of this key, or damaged.
  [[nodiscard]] std::optional<int64_t> DueOf(std::string_view value, int64_t index) const;
  // The same, and whose value it is, without a look at the random bytes, for watchers who get many
  // copies. 0 and -1 of what is too short.
  [[nodiscard]] static int64_t StampOf(std::string_view value);
  [[nodiscard]] static int64_t IndexIn(std::string_view value);

 private:
  std::string pool_;
};

// KeySpace is what the generator knows of the keys it has written: names made from numbers, shaped
// like those of pods, and the revision at which each was last changed, as kube-apiserver knows it
// from its watch cache.
//
//   index 42:  /registry/pods/namespace-042/workload-6fa0e5b2-00000042
//
// Keys are spread over kNamespaces namespaces. Names sort differently from their numbers.
//
// Thread rules: one thread at a time.
class KeySpace {
 public:
  explicit KeySpace(std::string prefix) : prefix_(std::move(prefix)) {}

  [[nodiscard]] const std::string& prefix() const { return prefix_; }
  [[nodiscard]] std::string NamespacePrefix(int number) const;
  [[nodiscard]] std::string NameOf(int64_t index) const;
  void NameOf(int64_t index, std::string* out) const;
  // Nothing for a key that this class does not make.
  [[nodiscard]] std::optional<int64_t> IndexOf(std::string_view key) const;

  // Reads which keys there are, and at which revision they were changed.
  [[nodiscard]] absl::Status Load(etcdclient::Client* client);

  // 0: not there.
  [[nodiscard]] int64_t RevisionOf(int64_t index) const {
    const auto i = static_cast<size_t>(index);
    return i < revisions_.size() ? revisions_[i] : 0;
  }
  void SetRevision(int64_t index, int64_t revision);

  // One more than the largest number ever used.
  [[nodiscard]] int64_t end() const { return static_cast<int64_t>(revisions_.size()); }
  // How many keys there are.
  [[nodiscard]] int64_t live() const { return live_; }

 private:
  const std::string prefix_;
  std::vector<int64_t> revisions_;
  int64_t live_ = 0;
};

}  // namespace jetd::bench

#endif  // JETD_BENCH_KEY_SPACE_H_
