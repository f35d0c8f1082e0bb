// SPDX-License-Identifier: Apache-2.0
#include "base/bolt/writer.h"

#include <algorithm>
#include <utility>

#include "base/bolt/page.h"
#include "base/check.h"

namespace jetd::bolt {
namespace {

constexpr uint64_t kFreelist = 2;
constexpr uint64_t kRootLeaf = 3;

uint64_t PagesOf(size_t bytes) { return (bytes + kPageSize - 1) / kPageSize; }

size_t ItemSize(const Items& items, size_t i) {
  return kElementSize + items.KeySize(i) + items.ValueSize(i);
}

void AppendMeta(uint64_t number, uint64_t pages, std::string* out) {
  AppendPageHeader(number, kMetaPage, 0, 1, out);
  const size_t begin = out->size();
  Append<uint32_t>(kMagic, out);
  Append<uint32_t>(kVersion, out);
  Append<uint32_t>(kPageSize, out);
  Append<uint32_t>(0, out);
  Append<uint64_t>(kRootLeaf, out);
  Append<uint64_t>(0, out);
  Append<uint64_t>(kFreelist, out);
  Append<uint64_t>(pages, out);
  Append<uint64_t>(number, out);  // the transaction
  Append<uint64_t>(MetaSum(std::string_view(*out).substr(begin)), out);
}

}  // namespace

FewItems::FewItems(List items) : items_(std::move(items)) {
  std::sort(items_.begin(), items_.end());
}

absl::Status FewItems::AppendValue(size_t i, std::string* out) const {
  out->append(items_[i].second);
  return absl::OkStatus();
}

Writer::Writer(std::vector<Bucket> buckets) {
  std::sort(buckets.begin(), buckets.end(),
            [](const Bucket& a, const Bucket& b) { return a.name < b.name; });
  for (Bucket& bucket : buckets) trees_.push_back({.bucket = std::move(bucket), .levels = {}});
  pages_ = kRootLeaf + PagesOf(RootLeaf().size());
  for (Tree& tree : trees_) LayOut(&tree);
}

Writer::~Writer() = default;

void Writer::LayOut(Tree* tree) {
  const Items& items = *tree->bucket.items;
  if (items.size() == 0) return;
  tree->levels.push_back(LayOutLeaves(items));
  while (tree->levels.back().size() > 1) {
    tree->levels.push_back(LayOutBranches(items, tree->levels.back()));
  }
}

Writer::Level Writer::LayOutLeaves(const Items& items) {
  Level leaves;
  for (size_t i = 0; i < items.size();) {
    leaves.push_back({.page = pages_, .first = i, .first_item = i});
    size_t bytes = kPageHeaderSize + ItemSize(items, i);
    // One that is larger than a page has its own.
    for (++i; i < items.size(); ++i) {
      const size_t more = ItemSize(items, i);
      if (bytes + more > kPageSize) break;
      bytes += more;
    }
    pages_ += PagesOf(bytes);
  }
  return leaves;
}

Writer::Level Writer::LayOutBranches(const Items& items, const Level& below) {
  Level branches;
  for (size_t i = 0; i < below.size();) {
    branches.push_back({.page = pages_, .first = i, .first_item = below[i].first_item});
    size_t bytes = kPageHeaderSize;
    size_t count = 0;
    for (; i < below.size(); ++i, ++count) {
      const size_t more = kElementSize + items.KeySize(below[i].first_item);
      // Two at least, or the tree would not narrow.
      if (count >= 2 && bytes + more > kPageSize) break;
      bytes += more;
    }
    pages_ += PagesOf(bytes);
  }
  return branches;
}

std::string Writer::RootLeaf() const {
  std::string elements;
  std::string data;
  for (size_t i = 0; i < trees_.size(); ++i) {
    const Tree& tree = trees_[i];
    const std::string& name = tree.bucket.name;
    const bool empty = tree.bucket.items->size() == 0;
    const size_t value_size = kBucketHeaderSize + (empty ? kPageHeaderSize : 0);
    Append<uint32_t>(kBucketElement, &elements);
    Append<uint32_t>(static_cast<uint32_t>((trees_.size() - i) * kElementSize + data.size()),
                     &elements);
    Append<uint32_t>(static_cast<uint32_t>(name.size()), &elements);
    Append<uint32_t>(static_cast<uint32_t>(value_size), &elements);
    data += name;
    Append<uint64_t>(tree.levels.empty() ? 0 : tree.levels.back().front().page, &data);
    Append<uint64_t>(0, &data);
    if (empty) AppendPageHeader(0, kLeafPage, 0, 1, &data);
  }
  std::string page;
  AppendPageHeader(kRootLeaf, kLeafPage, trees_.size(),
                   PagesOf(kPageHeaderSize + elements.size() + data.size()), &page);
  return page + elements + data;
}

void Writer::FinishPage(size_t begin, uint64_t pages, std::string* out) {
  JETD_CHECK(out->size() - begin <= pages * kPageSize) << "a page is larger than was said";
  out->resize(begin + pages * kPageSize);
  written_ += pages;
}

void Writer::AppendFront(std::string* out) {
  for (const uint64_t number : {0, 1}) {
    const size_t begin = out->size();
    AppendMeta(number, pages_, out);
    FinishPage(begin, 1, out);
  }
  size_t begin = out->size();
  AppendPageHeader(kFreelist, kFreelistPage, 0, 1, out);
  FinishPage(begin, 1, out);
  begin = out->size();
  out->append(RootLeaf());
  FinishPage(begin, PagesOf(out->size() - begin), out);
}

absl::Status Writer::AppendLeaf(const Tree& tree, size_t number, std::string* out) {
  const Items& items = *tree.bucket.items;
  const Level& leaves = tree.levels.front();
  const size_t first = leaves[number].first;
  const size_t end = number + 1 < leaves.size() ? leaves[number + 1].first : items.size();
  const size_t begin = out->size();
  size_t bytes = kPageHeaderSize;
  for (size_t i = first; i < end; ++i) bytes += ItemSize(items, i);
  AppendPageHeader(leaves[number].page, kLeafPage, end - first, PagesOf(bytes), out);
  size_t offset = (end - first) * kElementSize;
  for (size_t i = first; i < end; ++i) {
    Append<uint32_t>(0, out);
    Append<uint32_t>(static_cast<uint32_t>(offset), out);
    Append<uint32_t>(static_cast<uint32_t>(items.KeySize(i)), out);
    Append<uint32_t>(static_cast<uint32_t>(items.ValueSize(i)), out);
    offset += items.KeySize(i) + items.ValueSize(i) - kElementSize;
  }
  for (size_t i = first; i < end; ++i) {
    const size_t expected = out->size() + items.KeySize(i) + items.ValueSize(i);
    items.AppendKey(i, out);
    if (absl::Status status = items.AppendValue(i, out); !status.ok()) return status;
    JETD_CHECK(out->size() == expected) << "an item is not of the size that was said";
  }
  FinishPage(begin, PagesOf(bytes), out);
  return absl::OkStatus();
}

void Writer::AppendBranch(const Tree& tree, size_t level, size_t number, std::string* out) {
  const Items& items = *tree.bucket.items;
  const Level& branches = tree.levels[level];
  const Level& below = tree.levels[level - 1];
  const size_t first = branches[number].first;
  const size_t end = number + 1 < branches.size() ? branches[number + 1].first : below.size();
  const size_t begin = out->size();
  size_t bytes = kPageHeaderSize + (end - first) * kElementSize;
  for (size_t i = first; i < end; ++i) bytes += items.KeySize(below[i].first_item);
  AppendPageHeader(branches[number].page, kBranchPage, end - first, PagesOf(bytes), out);
  size_t offset = (end - first) * kElementSize;
  for (size_t i = first; i < end; ++i) {
    const size_t key_size = items.KeySize(below[i].first_item);
    Append<uint32_t>(static_cast<uint32_t>(offset), out);
    Append<uint32_t>(static_cast<uint32_t>(key_size), out);
    Append<uint64_t>(below[i].page, out);
    offset += key_size - kElementSize;
  }
  for (size_t i = first; i < end; ++i) items.AppendKey(below[i].first_item, out);
  FinishPage(begin, PagesOf(bytes), out);
}

absl::Status Writer::Write(size_t bytes, std::string* out) {
  const size_t wanted = out->size() + bytes;
  if (written_ == 0) AppendFront(out);
  while (out->size() < wanted && tree_ < trees_.size()) {
    const Tree& tree = trees_[tree_];
    if (level_ == tree.levels.size()) {
      ++tree_;
      level_ = 0;
      continue;
    }
    JETD_CHECK(tree.levels[level_][node_].page == written_) << "pages come in order";
    if (level_ == 0) {
      if (absl::Status status = AppendLeaf(tree, node_, out); !status.ok()) return status;
    } else {
      AppendBranch(tree, level_, node_, out);
    }
    if (++node_ == tree.levels[level_].size()) {
      node_ = 0;
      ++level_;
    }
  }
  return absl::OkStatus();
}

}  // namespace jetd::bolt
