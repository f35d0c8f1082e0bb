// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_STATE_DIGEST_H_
#define JETD_REPLICATION_STATE_DIGEST_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/types.h"
#include "replication/transaction_reader.h"

namespace jetd::replication {

// StateDigest follows the transactions of a stream up to a sequence, and knows the keys and leases
// that are there then, values as checksums. Two streams that hold the same records, or of which one
// was compacted or trimmed below that point, have equal ones: what a list of what lives leaves out
// counts as gone, which is right from the compact revision on. About 100 bytes and the key for each
// live key. Plain value.
class StateDigest {
 public:
  // Transactions whose last record lies above `upto` are left out.
  explicit StateDigest(StreamSeq upto) : upto_(upto) {}

  void Apply(const StreamTransaction& transaction);

  // CRC-32C over all of it, in order.
  [[nodiscard]] uint32_t Hash() const;
  [[nodiscard]] Revision revision() const { return revision_; }  // newest applied
  [[nodiscard]] size_t keys() const { return keys_.size(); }

  struct Difference {
    uint64_t count = 0;
    std::vector<std::string> named;  // the first kNamed: "key /a: revision 7 here, 5 there"
  };
  static constexpr size_t kNamed = 10;
  // What is different in `other`; `here` and `there` are what the two are called.
  [[nodiscard]] Difference Compare(const StateDigest& other, const std::string& here,
                                   const std::string& there) const;

 private:
  struct Key {
    Revision mod, create;
    int64_t version = 0;
    LeaseId lease;
    uint32_t value = 0;  // CRC-32C
    friend bool operator==(const Key&, const Key&) = default;
  };
  [[nodiscard]] static std::string Describe(const Key* key);

  const StreamSeq upto_;
  Revision revision_{1};
  std::map<std::string, Key> keys_;
  std::map<LeaseId, uint32_t> leases_;  // CRC-32C of the grant
};

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_STATE_DIGEST_H_
