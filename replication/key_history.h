// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_KEY_HISTORY_H_
#define JETD_REPLICATION_KEY_HISTORY_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "base/types.h"
#include "jetstream/record.h"

namespace jetd::replication {

// KeyHistory follows the versions of every key through a stream and says what of their numbers does
// not follow from what was before. It shares nothing with the store, so that either shows what is
// wrong with the other.
//
//   put a: create 2, version 1, revision 2       fine
//   put a: create 2, version 2, revision 3       fine
//   put a: create 2, version 4, revision 5       "version 4 follows version 2": 3 is missing
//   delete a                                     fine
//   delete a                                     "deleted, and it was not there"
//
// At or below the compact revision versions may have been removed; there a version is compared with
// what its numbers say of themselves, and with what must have been before or after it.
//
// Memory: the key and about 100 bytes for each key, dead ones too. One thread.
class KeyHistory {
 public:
  struct Version {
    Revision mod;
    Revision create;
    int64_t version = 0;  // 0: a delete marker
    LeaseId lease;
    StreamSeq seq;
    [[nodiscard]] bool deleted() const { return version == 0; }
  };
  struct Change {
    std::string wrong;  // empty: nothing is
    Version before;     // mod 0: none that is there
  };

  // The next change in the stream's order. Wrong or not, it is what the key is from now on.
  Change Apply(std::string_view key, const jetstream::RecordHeader& header, StreamSeq seq,
               bool is_delete, Revision compacted);

  // The newest version; null if there was none.
  [[nodiscard]] const Version* Find(std::string_view key) const;
  void Visit(const std::function<void(const std::string& key, const Version& newest)>& fn) const;
  [[nodiscard]] size_t live() const { return live_; }

 private:
  absl::flat_hash_map<std::string, Version> newest_;
  size_t live_ = 0;
};

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_KEY_HISTORY_H_
