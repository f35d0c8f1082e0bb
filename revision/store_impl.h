// SPDX-License-Identifier: Apache-2.0
//
// What a Store is made of. Only for store*.cc and invariants.cc.
#ifndef JETD_REVISION_STORE_IMPL_H_
#define JETD_REVISION_STORE_IMPL_H_

#include <cstdint>
#include <deque>
#include <string_view>
#include <vector>

#include "revision/change_log.h"
#include "revision/compactor.h"
#include "revision/key_index.h"
#include "revision/lease_table.h"
#include "revision/store.h"
#include "revision/value_cache.h"

namespace jetd::revision {

struct Store::Impl {
  // What takes one operation back. A change needs nothing more: it is the last of `log`.
  struct Undo {
    enum class Kind : uint8_t { kChange, kGrant, kRevoke };
    Kind kind = Kind::kChange;
    LeaseId lease;
    int64_t ttl_s = 0;  // kRevoke
  };
  // An ended transaction that is not committed.
  struct PendingTxn {
    Revision revision;  // newest() after it
    size_t undos = 0;   // how many of `undos` are its own
  };

  KeyIndex index;
  LeaseTable leases;
  ChangeLog log;
  Compactor compactor{&index, &log};
  ValueCache values{&index, &log, &leases};

  Revision newest{1};
  Revision committed{1};
  Revision compacted{-1};

  // The pending transactions, oldest first, and their undos, those of the open one last.
  std::deque<PendingTxn> pending;
  std::deque<Undo> undos;
  bool open = false;
  size_t open_undos = 0;
  std::vector<Change> changes;
  uint64_t ranges = 0;  // counted for stats()

  // While it is loaded: all versions so far, and the last key.
  struct Loaded {
    ModRevision mod;
    const KvBlock* kv;
  };
  std::vector<Loaded> loaded;
  const KeyIndex::Entry* loading = nullptr;

  [[nodiscard]] Revision Current(View view) const;
  // What `asked` (0 or less: the newest) means for a reader whose newest revision is `current`.
  [[nodiscard]] absl::StatusOr<Revision> ReadRevision(Revision asked, Revision current) const;

  // Makes a version of `fields`, whose mod it fills in, the newest of its key.
  const Change& Apply(const KeyIndex::Entry* entry, KvBlock::Fields fields);
  void AddUndo(Undo undo);
  void UndoLast(size_t n);
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_STORE_IMPL_H_
