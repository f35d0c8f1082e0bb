// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_KEY_INDEX_H_
#define JETD_REVISION_KEY_INDEX_H_

#include <cstddef>
#include <memory>
#include <string_view>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_set.h"
#include "revision/kv.h"
#include "revision/request.h"

namespace jetd::revision {

// KeyIndex holds every version of every key: keys in byte order, a key's versions as a chain from
// the newest to the oldest. It owns the blocks (one count each) and their links.
//
//   put a (rev 2), put a (3), delete a (4), put a (5):
//
//     "a" -> 5 -> 4 tombstone -> 3 -> 2        VersionAt(newest, 4) is null, (newest, 3) is 3
//
// A key whose newest version is a tombstone stays until compaction drops the tombstone.
//
// Memory: a version is one block, 48 bytes and its encoding (key, value, and about 15 bytes of tags
// and numbers); a key is one pointer in a B-tree leaf, about 11 bytes at its usual fill; a change
// not yet compacted is one pointer in the ChangeLog. With what the allocator adds, 100,000 keys of
// 1 KiB with 190,000 versions take 89 bytes a version beside key and value, 221 MB in all (glibc;
// mimalloc's size classes make it 242 MB). BM_Memory of store_benchmark measures it. A version
// whose value is in a file has 16 bytes instead of the value.
//
// Thread rules: the engine thread only.
class KeyIndex {
 public:
  // One key. Its address holds until a key comes or goes.
  class Entry {
   public:
    explicit Entry(const KvBlock* newest) : newest_(newest) {}
    [[nodiscard]] const KvBlock* newest() const { return newest_; }
    [[nodiscard]] std::string_view key() const { return newest_->key(); }

   private:
    friend class KeyIndex;
    // Mutable, since all that orders the set is the key, which every version shares.
    mutable const KvBlock* newest_;
  };

  struct Stats {
    size_t keys = 0;        // live
    size_t versions = 0;    // tombstones included
    size_t bytes = 0;       // hot_footprint of all versions
    size_t live_bytes = 0;  // of the newest versions of live keys
  };

  KeyIndex() = default;
  ~KeyIndex();
  KeyIndex(const KeyIndex&) = delete;
  KeyIndex& operator=(const KeyIndex&) = delete;

  // Until somebody asks for the order of the keys (Visit, Append, Order), they are found by their
  // hashes: a replay puts most of what there is into an empty index, and a search in the tree costs
  // it a cache miss for nearly every comparison. Order sorts them then, once. REQUIRES: it is
  // empty.
  void Unorder();
  void Order() const;

  // Null if the key has no version at all.
  [[nodiscard]] const Entry* Find(std::string_view key) const;
  // Calls fn(const Entry&) -> bool in key order for the keys of `keys`, those with a tombstone as
  // their newest version too, until it says false. fn may Push to the entry that it is given.
  template <typename Fn>
  void Visit(const KeyRange& keys, Fn&& fn) const;
  // Entries, those of deleted keys included.
  [[nodiscard]] size_t size() const {
    return unordered_ == nullptr ? entries_.size() : unordered_->size();
  }

  // What a reader at `at` sees of a key; null if it was not there.
  [[nodiscard]] static const KvBlock* VersionAt(const KvBlock* newest, Revision at) {
    const KvBlock* v = newest;
    while (v != nullptr && v->mod_revision() > at) v = v->older_;
    return v != nullptr && !v->tombstone() ? v : nullptr;
  }
  [[nodiscard]] static const KvBlock* Older(const KvBlock* v) { return v->older_; }
  [[nodiscard]] static const KvBlock* Newer(const KvBlock* v) { return v->newer_; }

  // Makes `kv` the newest version of its key; `entry` is what Find says of it. Returns the block,
  // alive as long as the index holds it.
  const KvBlock* Push(const Entry* entry, KvRef kv);
  // The same for a key behind all others, which is quicker; null if it is not.
  const Entry* Append(KvRef kv);
  // Takes the newest version of a key away again: the version before becomes the newest, and
  // without one the key goes.
  void Pop(const KvBlock* newest);
  // Drops the version before `v`, which must be the oldest of the key.
  void DropOlder(const KvBlock* v);
  // Drops `v`, which must be the oldest of its key; with its last version the key goes.
  void DropOldest(const KvBlock* v);
  // Puts `now`, the same version, in the place of `old`.
  void Replace(const KvBlock* old, KvRef now);
  // The version of exactly `mod`; null if it is not there.
  [[nodiscard]] const KvBlock* FindVersion(std::string_view key, ModRevision mod) const;
  // True if `v` is one of the versions held.
  [[nodiscard]] bool Holds(const KvBlock* v) const {
    return v->older_ != nullptr || v->newer_ != nullptr || IsNewest(v);
  }

  // Is told of each version that leaves, not of what is left when the index ends.
  class Observer {
   public:
    virtual ~Observer() = default;
    virtual void OnDrop(const KvBlock* v) = 0;
  };
  void set_observer(Observer* observer) { observer_ = observer; }

  [[nodiscard]] const Stats& stats() const { return stats_; }

 private:
  struct Less {
    using is_transparent = void;
    static std::string_view KeyOf(const Entry& e) { return e.key(); }
    static std::string_view KeyOf(std::string_view k) { return k; }
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return KeyOf(a) < KeyOf(b);
    }
  };

  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view key) const;
    size_t operator()(const Entry& e) const { return (*this)(e.key()); }
  };
  struct Equal {
    using is_transparent = void;
    template <typename A, typename B>
    bool operator()(const A& a, const B& b) const {
      return Less::KeyOf(a) == Less::KeyOf(b);
    }
  };
  using Unordered = absl::flat_hash_set<Entry, Hash, Equal>;

  void Insert(const KvBlock* v);
  void CountNewest(const KvBlock* v);
  void UncountNewest(const KvBlock* v);
  void Release(const KvBlock* v);
  [[nodiscard]] bool IsNewest(const KvBlock* v) const;

  Observer* observer_ = nullptr;
  mutable absl::btree_set<Entry, Less> entries_;
  mutable std::unique_ptr<Unordered> unordered_;  // if not null, entries_ is empty
  Stats stats_;
};

template <typename Fn>
void KeyIndex::Visit(const KeyRange& keys, Fn&& fn) const {
  if (keys.single()) {
    if (const Entry* entry = Find(keys.key)) fn(*entry);
    return;
  }
  Order();
  auto it = entries_.lower_bound(keys.key);
  // Finding the end once spares a comparison of keys, and so a cache miss, per step.
  const auto end = keys.open_ended()      ? entries_.end()
                   : keys.end <= keys.key ? it
                                          : entries_.lower_bound(keys.end);
  for (; it != end; ++it) {
    if (!fn(*it)) return;
  }
}

}  // namespace jetd::revision

#endif  // JETD_REVISION_KEY_INDEX_H_
