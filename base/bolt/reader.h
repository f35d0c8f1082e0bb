// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BASE_BOLT_READER_H_
#define JETD_BASE_BOLT_READER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace jetd::bolt {

// Reads the bytes of a bbolt file (page.h), by a file mapped into memory for example, which outlive
// the reader. Nothing in them is trusted: each page is checked before it is followed, each is
// visited at most once in a walk, so that a file of n bytes costs O(n) whatever it says. Any page
// size that bbolt takes. What follows the last page, a snapshot's sum for example, is not looked
// at.
//
// Any thread; const calls at the same time.
class Reader {
 public:
  // kInvalidArgument, with what is wrong, for what is no such file or was cut short.
  [[nodiscard]] static absl::StatusOr<Reader> Open(std::string_view file);

  // Of the pages in use, in bytes: where a snapshot's sum begins.
  [[nodiscard]] uint64_t size() const { return pages_ * page_size_; }
  // Names of the buckets at the root, ascending.
  [[nodiscard]] absl::StatusOr<std::vector<std::string>> Buckets() const;

  using ItemFn = absl::FunctionRef<absl::Status(std::string_view key, std::string_view value)>;
  // Calls fn for the items of a bucket, keys ascending, until it gives an error. kNotFound. Buckets
  // within the bucket are left out: etcd has none.
  [[nodiscard]] absl::Status ForEach(std::string_view bucket, ItemFn fn) const;

 private:
  struct Element {
    std::string_view key;
    std::string_view value;  // empty in a branch
    uint64_t page = 0;       // of the child; 0 in a leaf
    bool is_bucket = false;
  };
  struct Page {
    bool leaf = false;
    std::vector<Element> elements;
  };
  using ElementFn = absl::FunctionRef<absl::Status(const Element&)>;

  Reader() = default;
  [[nodiscard]] bool TakeMeta(std::string_view file, size_t offset);
  [[nodiscard]] absl::StatusOr<Page> PageAt(uint64_t id) const;
  [[nodiscard]] static absl::StatusOr<Page> ParsePage(std::string_view bytes, uint64_t id);
  [[nodiscard]] absl::Status Walk(uint64_t root, ElementFn fn) const;

  std::string_view file_;
  uint64_t page_size_ = 0;
  uint64_t pages_ = 0;
  uint64_t root_ = 0;
  uint64_t transaction_ = 0;
};

}  // namespace jetd::bolt

#endif  // JETD_BASE_BOLT_READER_H_
