// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BASE_BOLT_WRITER_H_
#define JETD_BASE_BOLT_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace jetd::bolt {

// What a bucket holds. Keys are ascending byte strings, none twice, none empty. Sizes are asked for
// first, to lay the file out, contents later; they must agree.
class Items {
 public:
  virtual ~Items() = default;
  [[nodiscard]] virtual size_t size() const = 0;
  [[nodiscard]] virtual size_t KeySize(size_t i) const = 0;
  [[nodiscard]] virtual size_t ValueSize(size_t i) const = 0;
  virtual void AppendKey(size_t i, std::string* out) const = 0;
  // An error ends the writing.
  [[nodiscard]] virtual absl::Status AppendValue(size_t i, std::string* out) const = 0;
};

// A few of them, held in memory.
class FewItems final : public Items {
 public:
  using List = std::vector<std::pair<std::string, std::string>>;
  // In any order.
  explicit FewItems(List items);
  [[nodiscard]] size_t size() const override { return items_.size(); }
  [[nodiscard]] size_t KeySize(size_t i) const override { return items_[i].first.size(); }
  [[nodiscard]] size_t ValueSize(size_t i) const override { return items_[i].second.size(); }
  void AppendKey(size_t i, std::string* out) const override { out->append(items_[i].first); }
  [[nodiscard]] absl::Status AppendValue(size_t i, std::string* out) const override;

 private:
  List items_;
};

// Writes a bbolt file from front to end, without going back, so that it can be sent while it is
// made: first the layout from the sizes alone, then the pages in order. Pages are filled, nothing
// is free.
//
//   0, 1 metas | 2 freelist | 3 root leaf: the buckets | bucket 1: leaves, branches | bucket 2 …
//
// Memory: 24 bytes a page of a tree, about 8 MB for a million items of 1 KiB. Any thread, one at a
// time.
class Writer {
 public:
  struct Bucket {
    std::string name;
    std::unique_ptr<const Items> items;
  };
  // REQUIRES: names are unique.
  explicit Writer(std::vector<Bucket> buckets);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Of the whole file, in bytes.
  [[nodiscard]] uint64_t size() const { return pages_ * 4096; }
  [[nodiscard]] bool done() const { return written_ == pages_; }
  // Appends whole pages until at least `bytes` more are in *out, or the file ends.
  [[nodiscard]] absl::Status Write(size_t bytes, std::string* out);

 private:
  // A page of a tree, with what overflows it. `first` is its first item (leaf) or its first child
  // (branch), `first_item` the item that its smallest key belongs to.
  struct Node {
    uint64_t page = 0;
    uint64_t first = 0;
    uint64_t first_item = 0;
  };
  using Level = std::vector<Node>;
  struct Tree {
    Bucket bucket;
    std::vector<Level> levels;  // leaves first; none if there are no items
  };

  void LayOut(Tree* tree);
  [[nodiscard]] Level LayOutLeaves(const Items& items);
  [[nodiscard]] Level LayOutBranches(const Items& items, const Level& below);
  void AppendFront(std::string* out);
  [[nodiscard]] std::string RootLeaf() const;
  [[nodiscard]] absl::Status AppendLeaf(const Tree& tree, size_t number, std::string* out);
  void AppendBranch(const Tree& tree, size_t level, size_t number, std::string* out);
  void FinishPage(size_t begin, uint64_t pages, std::string* out);

  std::vector<Tree> trees_;  // by name
  uint64_t pages_ = 0;       // in the file
  uint64_t written_ = 0;
  size_t tree_ = 0, level_ = 0, node_ = 0;  // what is written next
};

}  // namespace jetd::bolt

#endif  // JETD_BASE_BOLT_WRITER_H_
