// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_DIFFERENTIAL_KEYSPACE_H_
#define JETD_CONFORMANCE_DIFFERENTIAL_KEYSPACE_H_

#include <string>
#include <vector>

#include "conformance/differential/random.h"

namespace jetd::conformance::differential {

// The keys of one run: a tree of nested prefixes as a control plane makes it, names that are a
// prefix of each other, and every byte that is special in a subject, in a path or in UTF-8.
class Keyspace {
 public:
  explicit Keyspace(Random* random);

  [[nodiscard]] const std::string& Any(Random& random) const { return random.Pick(keys_); }
  // A prefix that several keys share.
  [[nodiscard]] const std::string& Prefix(Random& random) const { return random.Pick(prefixes_); }
  [[nodiscard]] const std::vector<std::string>& keys() const { return keys_; }

  // The end of the range of all keys that start with `prefix`.
  [[nodiscard]] static std::string EndOf(std::string prefix);

 private:
  std::vector<std::string> keys_;
  std::vector<std::string> prefixes_;
};

}  // namespace jetd::conformance::differential

#endif  // JETD_CONFORMANCE_DIFFERENTIAL_KEYSPACE_H_
