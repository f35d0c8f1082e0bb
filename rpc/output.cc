// SPDX-License-Identifier: Apache-2.0
#include "rpc/output.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace jetd::rpc {
namespace {

constexpr size_t kFirstBytes = 16UL << 10;
// A larger buffer is not kept.
constexpr size_t kKeptBytes = 256UL << 10;

}  // namespace

void Output::Append(std::string_view bytes) {
  if (copied_.capacity() == 0) {
    copied_.swap(*spare_);
    if (copied_.capacity() == 0) copied_.reserve(kFirstBytes);
  }
  copied_.insert(copied_.end(), bytes.begin(), bytes.end());
  size_ += bytes.size();
}

void Output::Append(const Slice& slice) {
  if (slice.size() < kSharedFromBytes) return Append(slice.bytes());
  cuts_.push_back({copied_.size(), slice});
  size_ += slice.size();
}

int Output::Pieces(iovec* pieces, int count) const {
  int n = 0;
  const auto add = [&](const char* data, size_t bytes) {
    if (bytes == 0 || n == count) return;
    pieces[n].iov_base = const_cast<char*>(data);
    pieces[n].iov_len = bytes;
    ++n;
  };
  size_t at = copied_done_;
  size_t skip = cut_done_;
  for (const Cut& cut : cuts_) {
    if (n == count) return n;
    add(copied_.data() + at, cut.behind - at);
    at = cut.behind;
    add(cut.slice.bytes().data() + skip, cut.slice.size() - skip);
    skip = 0;
  }
  add(copied_.data() + at, copied_.size() - at);
  return n;
}

void Output::Advance(size_t bytes) {
  JETD_CHECK(bytes <= size_) << bytes << " of " << size_;
  size_ -= bytes;
  if (size_ == 0) return Clear();
  while (bytes > 0) {
    const size_t end = cuts_.empty() ? copied_.size() : cuts_.front().behind;
    const size_t flat = std::min(bytes, end - copied_done_);
    copied_done_ += flat;
    bytes -= flat;
    if (cuts_.empty() || bytes == 0) continue;
    const size_t shared = std::min(bytes, cuts_.front().slice.size() - cut_done_);
    cut_done_ += shared;
    bytes -= shared;
    if (cut_done_ < cuts_.front().slice.size()) continue;
    cuts_.pop_front();
    cut_done_ = 0;
  }
}

void Output::Clear() {
  size_ = copied_done_ = cut_done_ = 0;
  if (!cuts_.empty()) cuts_.clear();
  copied_.clear();
  if (spare_->capacity() == 0 && copied_.capacity() <= kKeptBytes) {
    copied_.swap(*spare_);
  } else {
    std::vector<char>().swap(copied_);
  }
}

}  // namespace jetd::rpc
