// SPDX-License-Identifier: Apache-2.0
#include "revision/key_index.h"

#include <utility>

#include "base/check.h"

namespace jetd::revision {

KeyIndex::~KeyIndex() {
  observer_ = nullptr;
  for (const Entry& entry : entries_) {
    const KvBlock* v = entry.newest_;
    while (v != nullptr) {
      const KvBlock* older = v->older_;
      Release(v);
      v = older;
    }
  }
}

const KeyIndex::Entry* KeyIndex::Find(std::string_view key) const {
  const auto it = entries_.find(key);
  return it == entries_.end() ? nullptr : &*it;
}

const KvBlock* KeyIndex::Push(const Entry* entry, KvRef kv) {
  const KvBlock* v = kv.release();
  if (entry == nullptr) {
    const bool inserted = entries_.emplace(v).second;
    JETD_CHECK(inserted) << "the key was there";
  } else {
    const KvBlock* older = entry->newest_;
    JETD_CHECK(older->mod() < v->mod())
        << "version " << v->mod_revision() << " after " << older->mod_revision();
    UncountNewest(older);
    v->older_ = older;
    older->newer_ = v;
    entry->newest_ = v;
  }
  CountNewest(v);
  ++stats_.versions;
  stats_.bytes += v->hot_footprint();
  return v;
}

const KeyIndex::Entry* KeyIndex::Append(KvRef kv) {
  if (!entries_.empty() && entries_.rbegin()->key() >= kv->key()) return nullptr;
  const KvBlock* v = kv.release();
  const auto it = entries_.emplace_hint(entries_.end(), v);
  CountNewest(v);
  ++stats_.versions;
  stats_.bytes += v->hot_footprint();
  return &*it;
}

void KeyIndex::Pop(const KvBlock* newest) {
  const auto it = entries_.find(newest->key());
  JETD_CHECK(it != entries_.end() && it->newest_ == newest) << "not the newest version";
  UncountNewest(newest);
  const KvBlock* older = newest->older_;
  if (older == nullptr) {
    entries_.erase(it);
  } else {
    // In this order: `it` must never point to a block that is gone.
    it->newest_ = older;
    older->newer_ = nullptr;
    CountNewest(older);
  }
  Release(newest);
}

void KeyIndex::DropOlder(const KvBlock* v) {
  const KvBlock* older = v->older_;
  JETD_CHECK(older != nullptr && older->older_ == nullptr) << "not the second oldest version";
  v->older_ = nullptr;
  Release(older);
}

void KeyIndex::DropOldest(const KvBlock* v) {
  JETD_CHECK(v->older_ == nullptr) << "not the oldest version";
  if (v->newer_ == nullptr) return Pop(v);
  v->newer_->older_ = nullptr;
  Release(v);
}

void KeyIndex::Replace(const KvBlock* old, KvRef now) {
  JETD_CHECK(old->mod() == now->mod() && old->encoded_size() == now->encoded_size())
      << "version " << now->mod_revision() << " for " << old->mod_revision();
  if (old->newer_ == nullptr) {
    const auto it = entries_.find(old->key());
    JETD_CHECK(it != entries_.end() && it->newest_ == old) << "not a version held";
    it->newest_ = now.get();
  } else {
    old->newer_->older_ = now.get();
  }
  if (old->older_ != nullptr) old->older_->newer_ = now.get();
  now->older_ = std::exchange(old->older_, nullptr);
  now->newer_ = std::exchange(old->newer_, nullptr);
  (void)now.release();
  old->Unref();
}

const KvBlock* KeyIndex::FindVersion(std::string_view key, ModRevision mod) const {
  const Entry* entry = Find(key);
  const KvBlock* v = entry == nullptr ? nullptr : entry->newest();
  while (v != nullptr && v->mod() > mod) v = v->older_;
  return v != nullptr && v->mod() == mod ? v : nullptr;
}

bool KeyIndex::IsNewest(const KvBlock* v) const {
  const Entry* entry = Find(v->key());
  return entry != nullptr && entry->newest() == v;
}

void KeyIndex::CountNewest(const KvBlock* v) {
  if (v->tombstone()) return;
  ++stats_.keys;
  stats_.live_bytes += v->hot_footprint();
}

void KeyIndex::UncountNewest(const KvBlock* v) {
  if (v->tombstone()) return;
  --stats_.keys;
  stats_.live_bytes -= v->hot_footprint();
}

// The block may live on in somebody's hands, without its neighbours.
void KeyIndex::Release(const KvBlock* v) {
  if (observer_ != nullptr) observer_->OnDrop(v);
  --stats_.versions;
  stats_.bytes -= v->hot_footprint();
  v->older_ = nullptr;
  v->newer_ = nullptr;
  v->Unref();
}

}  // namespace jetd::revision
