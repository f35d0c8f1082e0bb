// SPDX-License-Identifier: Apache-2.0
//
// What a power cut leaves.
#include <algorithm>
#include <set>
#include <utility>

#include "conformance/power/disk.h"

namespace jetd::conformance::power {
namespace {

// How the changes of a file, or of names, since the last sync survive.
enum class Fate {
  kNone,
  kAll,
  kUntil,  // up to some moment
  kAny,    // each for itself
};

Fate PickFate(std::mt19937_64& random) { return static_cast<Fate>(random() % 4); }

uint64_t Mix(uint64_t value) {
  value = (value ^ (value >> 31U)) * 0x9e3779b97f4a7c15ULL;
  value = (value ^ (value >> 29U)) * 0xbf58476d1ce4e5b9ULL;
  return value ^ (value >> 32U);
}

// How many of a file's `changes` are in a sector, of those that touch it.
class Survival {
 public:
  Survival(size_t changes, std::mt19937_64& random)
      : changes_(changes),
        fate_(PickFate(random)),
        moment_(random() % (changes + 1)),
        salt_(random()),
        // One of so many sectors is whole, so that some cuts leave almost all and some almost none.
        keep_(random() % 8) {}

  [[nodiscard]] size_t In(uint64_t sector) const {
    if (fate_ != Fate::kAny) return All();
    const uint64_t dice = Mix(salt_ + sector);
    if (dice % 8 < keep_) return changes_;
    return (dice >> 8U) % (changes_ + 1);
  }
  // After how many of them the file's size was what it is.
  [[nodiscard]] size_t InSize() const { return fate_ == Fate::kAny ? moment_ : All(); }

 private:
  [[nodiscard]] size_t All() const {
    if (fate_ == Fate::kNone) return 0;
    return fate_ == Fate::kAll ? changes_ : moment_;
  }

  const size_t changes_;
  const Fate fate_;
  const size_t moment_;
  const uint64_t salt_;
  const uint64_t keep_;
};

}  // namespace

std::string Disk::CutContent(const Item& file, std::mt19937_64& random) {
  std::string content = file.durable;
  if (file.pending.empty()) return content;
  const Survival survival(file.pending.size(), random);
  uint64_t size = content.size();  // after the changes so far
  uint64_t cut_size = size;
  for (size_t i = 0; i < file.pending.size(); ++i) {
    const FileChange& change = file.pending[i];
    // What a smaller size cuts off is zeros where the file grows again.
    const uint64_t begin = change.at;
    const uint64_t end = change.resize ? std::max(size, change.at) : begin + change.bytes.size();
    if (content.size() < end) content.resize(end);
    for (uint64_t at = begin; at < end;) {
      const uint64_t sector = at / kSectorBytes;
      const uint64_t piece = std::min((sector + 1) * kSectorBytes, end) - at;
      if (i < survival.In(sector)) {
        if (change.resize) {
          content.replace(at, piece, piece, '\0');
        } else {
          content.replace(at, piece, change.bytes, at - begin, piece);
        }
      }
      at += piece;
    }
    size = change.resize ? change.at : std::max(size, end);
    if (survival.InSize() == i + 1) cut_size = size;
  }
  content.resize(cut_size);
  return content;
}

void Disk::CutNames(std::mt19937_64& random) {
  const Fate fate = PickFate(random);
  const size_t count = pending_names_.size();
  const size_t moment = random() % (count + 1);
  std::vector<bool> chosen(count);
  for (size_t i = 0; i < count; ++i) {
    chosen[i] = fate == Fate::kAll || (fate == Fate::kUntil && i < moment) ||
                (fate == Fate::kAny && random() % 2 == 0);
  }
  // A file that has a later name has had the earlier ones, and lost them.
  std::set<Node> named;
  for (size_t i = count; i-- > 0;) {
    for (const NamePlace& place : pending_names_[i].places) {
      if (place.node == 0) continue;
      if (named.count(place.node) > 0) chosen[i] = true;
      if (chosen[i]) named.insert(place.node);
    }
  }
  for (size_t i = 0; i < count; ++i) {
    if (chosen[i]) MakeDurable(pending_names_[i]);
  }
  pending_names_.clear();
}

void Disk::Rebuild(Node old, Node node, std::map<Node, std::unique_ptr<Item>>* items,
                   std::mt19937_64& random) {
  const Item& from = At(old);
  auto item = std::make_unique<Item>();
  item->kind = from.kind;
  item->mode = from.mode;
  item->changed = from.changed;
  item->name = from.name;
  if (from.kind == Kind::kFile) {
    item->durable = CutContent(from, random);
    item->live = item->durable;
  }
  for (const auto& [name, child] : from.durable_names) {
    item->durable_names[name] = ++last_node_;
    Rebuild(child, item->durable_names[name], items, random);
    items->at(item->durable_names[name])->name = name;
  }
  item->live_names = item->durable_names;
  (*items)[node] = std::move(item);
}

void Disk::Cut(uint64_t seed) {
  std::mt19937_64 random(seed);
  CutNames(random);
  std::map<Node, std::unique_ptr<Item>> items;
  Rebuild(kRoot, kRoot, &items, random);
  items_ = std::move(items);
}

}  // namespace jetd::conformance::power
