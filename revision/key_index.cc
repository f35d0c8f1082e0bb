// SPDX-License-Identifier: Apache-2.0
#include "revision/key_index.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "base/strings.h"

namespace jetd::revision {

namespace {

// Eight bytes of a key, in an order that is theirs; zeros behind its end.
struct Window {
  uint64_t bytes = 0;
  const KvBlock* v = nullptr;
};

uint64_t BytesAt(std::string_view key, size_t offset) {
  uint64_t bytes = 0;
  for (size_t i = offset; i < offset + 8; ++i) {
    bytes = bytes << 8 | (i < key.size() ? static_cast<unsigned char>(key[i]) : 0);
  }
  return bytes;
}

// Sorts by keys, which agree up to `offset`. A comparison of two keys is two cache misses, so keys
// are looked at once for every eight bytes that several of them share.
void SortByKey(absl::Span<Window> windows, size_t offset) {
  constexpr size_t kFew = 12;
  while (windows.size() > kFew) {
    for (Window& window : windows) window.bytes = BytesAt(window.v->key(), offset);
    // Of those with the same bytes the ones that end here come first, the shortest before all:
    // what stands for them behind their end is what others have there.
    std::sort(windows.begin(), windows.end(), [&](const Window& a, const Window& b) {
      if (a.bytes != b.bytes) return a.bytes < b.bytes;
      return std::min(a.v->key().size(), offset + 8 + 1) <
             std::min(b.v->key().size(), offset + 8 + 1);
    });
    offset += 8;
    // All but the largest group with the same bytes by recursion, the largest by the loop.
    absl::Span<Window> largest;
    for (size_t begin = 0; begin < windows.size();) {
      size_t end = begin + 1;
      while (end < windows.size() && windows[end].bytes == windows[begin].bytes) ++end;
      size_t goes_on = begin;
      while (goes_on < end && windows[goes_on].v->key().size() <= offset) ++goes_on;
      absl::Span<Window> group = windows.subspan(goes_on, end - goes_on);
      if (group.size() > largest.size()) std::swap(group, largest);
      if (group.size() > 1) SortByKey(group, offset);
      begin = end;
    }
    windows = largest;
  }
  std::sort(windows.begin(), windows.end(),
            [](const Window& a, const Window& b) { return a.v->key() < b.v->key(); });
}

}  // namespace

KeyIndex::~KeyIndex() {
  observer_ = nullptr;
  const auto release_all = [this](const auto& entries) {
    for (const Entry& entry : entries) {
      const KvBlock* v = entry.newest_;
      while (v != nullptr) {
        const KvBlock* older = v->older_;
        Release(v);
        v = older;
      }
    }
  };
  release_all(entries_);
  if (unordered_ != nullptr) release_all(*unordered_);
}

size_t KeyIndex::Hash::operator()(std::string_view key) const {
  return absl::Hash<absl::string_view>()(ToAbsl(key));
}

void KeyIndex::Unorder() {
  JETD_CHECK(size() == 0) << "keys are there already";
  unordered_ = std::make_unique<Unordered>();
}

void KeyIndex::Order() const {
  if (unordered_ == nullptr) return;
  std::vector<Window> windows;
  windows.reserve(unordered_->size());
  for (const Entry& entry : *unordered_) windows.push_back({.bytes = 0, .v = entry.newest_});
  unordered_ = nullptr;
  SortByKey(absl::MakeSpan(windows), 0);
  for (const Window& window : windows) entries_.emplace_hint(entries_.end(), window.v);
}

const KeyIndex::Entry* KeyIndex::Find(std::string_view key) const {
  if (unordered_ != nullptr) {
    const auto found = unordered_->find(key);
    return found == unordered_->end() ? nullptr : &*found;
  }
  const auto it = entries_.find(key);
  return it == entries_.end() ? nullptr : &*it;
}

const KvBlock* KeyIndex::Push(const Entry* entry, KvRef kv) {
  const KvBlock* v = kv.release();
  if (entry == nullptr) {
    Insert(v);
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

void KeyIndex::Insert(const KvBlock* v) {
  const bool inserted =
      unordered_ == nullptr ? entries_.emplace(v).second : unordered_->emplace(v).second;
  JETD_CHECK(inserted) << "the key was there";
}

const KeyIndex::Entry* KeyIndex::Append(KvRef kv) {
  Order();
  if (!entries_.empty() && entries_.rbegin()->key() >= kv->key()) return nullptr;
  const KvBlock* v = kv.release();
  const auto it = entries_.emplace_hint(entries_.end(), v);
  CountNewest(v);
  ++stats_.versions;
  stats_.bytes += v->hot_footprint();
  return &*it;
}

void KeyIndex::Pop(const KvBlock* newest) {
  const auto pop = [this, newest](auto* entries) {
    const auto it = entries->find(newest->key());
    JETD_CHECK(it != entries->end() && it->newest_ == newest) << "not the newest version";
    UncountNewest(newest);
    const KvBlock* older = newest->older_;
    if (older == nullptr) {
      entries->erase(it);
    } else {
      // In this order: `it` must never point to a block that is gone.
      it->newest_ = older;
      older->newer_ = nullptr;
      CountNewest(older);
    }
  };
  if (unordered_ == nullptr) {
    pop(&entries_);
  } else {
    pop(unordered_.get());
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
    const Entry* const entry = Find(old->key());
    JETD_CHECK(entry != nullptr && entry->newest_ == old) << "not a version held";
    entry->newest_ = now.get();
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
