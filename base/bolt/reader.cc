// SPDX-License-Identifier: Apache-2.0
#include "base/bolt/reader.h"

#include <utility>

#include "base/bolt/page.h"
#include "base/strings.h"

namespace jetd::bolt {
namespace {

constexpr size_t kLeastPageSize = 512;
constexpr size_t kMostPageSize = 64 << 10;

template <typename... Pieces>
absl::Status Wrong(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, pieces...);
}

}  // namespace

// True if there is a meta at `offset` and it is newer than what was taken.
bool Reader::TakeMeta(std::string_view file, size_t offset) {
  if (file.size() < offset + kPageHeaderSize + kMetaSize) return false;
  const std::string_view meta = file.substr(offset + kPageHeaderSize, kMetaSize);
  if (Read<uint32_t>(meta, 0) != kMagic || Read<uint32_t>(meta, 4) != kVersion) return false;
  if (Read<uint64_t>(meta, kMetaSize - 8) != MetaSum(meta.substr(0, kMetaSize - 8))) return false;
  const auto transaction = Read<uint64_t>(meta, 48);
  if (page_size_ != 0 && transaction < transaction_) return true;
  page_size_ = Read<uint32_t>(meta, 8);
  root_ = Read<uint64_t>(meta, 16);
  pages_ = Read<uint64_t>(meta, 40);
  transaction_ = transaction;
  return true;
}

absl::StatusOr<Reader> Reader::Open(std::string_view file) {
  Reader reader;
  reader.file_ = file;
  bool found = reader.TakeMeta(file, 0);
  if (found) {
    (void)reader.TakeMeta(file, reader.page_size_);
  } else {
    // The first is damaged: the second lies one page on, whatever a page is.
    for (size_t size = kLeastPageSize; size <= kMostPageSize && !found; size *= 2) {
      found = reader.TakeMeta(file, size) && reader.page_size_ == size;
      if (!found) reader.page_size_ = 0;
    }
  }
  if (!found) return Wrong("this is no bbolt file of version 2, or its first pages are damaged");
  const uint64_t page = reader.page_size_;
  if (page < kLeastPageSize || page > kMostPageSize || (page & (page - 1)) != 0) {
    return Wrong("a page size of ", page, " bytes is none");
  }
  if (reader.pages_ > file.size() / page) {
    return Wrong("the file is cut short: ", file.size(), " bytes of ", reader.pages_, " pages of ",
                 page);
  }
  return reader;
}

absl::StatusOr<Reader::Page> Reader::PageAt(uint64_t id) const {
  if (id < 2 || id >= pages_) return Wrong("page ", id, " is not among the ", pages_, " pages");
  const size_t begin = id * page_size_;
  const auto overflow = Read<uint32_t>(file_, begin + 12);
  if (overflow >= pages_ - id) return Wrong("page ", id, " overflows the file");
  if (Read<uint64_t>(file_, begin) != id) return Wrong("page ", id, " says that it is another");
  return ParsePage(file_.substr(begin, (uint64_t{overflow} + 1) * page_size_), id);
}

absl::StatusOr<Reader::Page> Reader::ParsePage(std::string_view bytes, uint64_t id) {
  if (bytes.size() < kPageHeaderSize) return Wrong("page ", id, " is cut short");
  const auto flags = Read<uint16_t>(bytes, 8);
  const auto count = Read<uint16_t>(bytes, 10);
  if (flags != kLeafPage && flags != kBranchPage) {
    return Wrong("page ", id, " is of kind ", flags, ", no part of a tree");
  }
  Page page{.leaf = flags == kLeafPage, .elements = {}};
  if (bytes.size() < kPageHeaderSize + count * kElementSize) {
    return Wrong("page ", id, " has no room for ", count, " elements");
  }
  page.elements.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const size_t at = kPageHeaderSize + i * kElementSize;
    const size_t position = page.leaf ? at + 4 : at;
    const uint64_t offset = at + uint64_t{Read<uint32_t>(bytes, position)};
    const uint64_t key_size = Read<uint32_t>(bytes, position + 4);
    const uint64_t value_size = page.leaf ? Read<uint32_t>(bytes, position + 8) : 0;
    if (offset + key_size + value_size > bytes.size()) {
      return Wrong("element ", i, " of page ", id, " passes the end of the page");
    }
    Element& element = page.elements.emplace_back();
    element.key = bytes.substr(offset, key_size);
    element.value = bytes.substr(offset + key_size, value_size);
    element.is_bucket = page.leaf && (Read<uint32_t>(bytes, at) & kBucketElement) != 0;
    if (!page.leaf) element.page = Read<uint64_t>(bytes, at + 8);
    if (i > 0 && element.key <= page.elements[i - 1].key) {
      return Wrong("the keys of page ", id, " do not ascend");
    }
  }
  return page;
}

// Depth first. A page that is met again would make a walk endless: more pages than there are is an
// error.
absl::Status Reader::Walk(uint64_t root, ElementFn fn) const {
  std::vector<uint64_t> to_visit = {root};
  uint64_t visited = 0;
  std::string last_key;
  bool first = true;
  while (!to_visit.empty()) {
    const uint64_t id = to_visit.back();
    to_visit.pop_back();
    if (++visited > pages_) return Wrong("pages refer to each other in a circle");
    auto page = PageAt(id);
    if (!page.ok()) return page.status();
    if (!page->leaf) {
      for (auto it = page->elements.rbegin(); it != page->elements.rend(); ++it) {
        to_visit.push_back(it->page);
      }
      if (to_visit.size() > pages_) return Wrong("pages refer to each other in a circle");
      continue;
    }
    for (const Element& element : page->elements) {
      if (!first && element.key <= last_key) {
        return Wrong("the keys of page ", id, " do not follow those before");
      }
      if (absl::Status status = fn(element); !status.ok()) return status;
      last_key.assign(element.key);
      first = false;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> Reader::Buckets() const {
  std::vector<std::string> names;
  absl::Status status = Walk(root_, [&](const Element& element) {
    if (element.is_bucket) names.emplace_back(element.key);
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return names;
}

absl::Status Reader::ForEach(std::string_view bucket, ItemFn fn) const {
  bool found = false;
  Element of_bucket;
  absl::Status status = Walk(root_, [&](const Element& element) {
    if (element.is_bucket && element.key == bucket) {
      found = true;
      of_bucket = element;
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  if (!found) return MakeStatus(absl::StatusCode::kNotFound, "there is no bucket ", bucket);
  if (of_bucket.value.size() < kBucketHeaderSize) return Wrong("bucket ", bucket, " has no header");
  const auto give = [&](const Element& element) {
    return element.is_bucket ? absl::OkStatus() : fn(element.key, element.value);
  };
  const auto root = Read<uint64_t>(of_bucket.value, 0);
  if (root != 0) return Walk(root, give);
  auto page = ParsePage(of_bucket.value.substr(kBucketHeaderSize), 0);
  if (!page.ok()) return page.status();
  if (!page->leaf) return Wrong("the inline page of bucket ", bucket, " is no leaf");
  for (const Element& element : page->elements) {
    if (status = give(element); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace jetd::bolt
