// SPDX-License-Identifier: Apache-2.0
#include "rpc/framing.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace jetd::rpc {

std::array<char, kPrefixBytes> PrefixOf(size_t message_bytes) {
  const auto size = static_cast<uint32_t>(message_bytes);
  return {'\0', static_cast<char>(size >> 24), static_cast<char>(size >> 16),
          static_cast<char>(size >> 8), static_cast<char>(size)};
}

MessageReader::Result MessageReader::Begin() {
  size_ = 0;
  for (size_t i = 1; i < kPrefixBytes; ++i) {
    size_ = size_ << 8 | static_cast<unsigned char>(prefix_[i]);
  }
  if (flag() > 1) return Result::kMalformed;
  // In grpc-go's order: a large one is refused before it is asked how it is compressed.
  if (size_ > max_message_bytes_) return Result::kTooLarge;
  if (flag() == 1) return Result::kCompressed;
  if (!own_->Take(size_)) return Result::kNoRoom;
  if (!all_->Take(size_)) {
    own_->Give(size_);
    return Result::kNoRoom;
  }
  counted_ = size_;
  filled_ = 0;
  if (size_ > 0) slice_ = Slice::Allocate(size_, &memory_);
  return Result::kMore;
}

MessageReader::Result MessageReader::Feed(std::string_view* bytes) {
  if (prefix_filled_ < kPrefixBytes) {
    const size_t part = std::min(kPrefixBytes - prefix_filled_, bytes->size());
    bytes->copy(prefix_.data() + prefix_filled_, part);
    prefix_filled_ += part;
    bytes->remove_prefix(part);
    if (prefix_filled_ < kPrefixBytes) return Result::kMore;
    if (const Result begun = Begin(); begun != Result::kMore) return begun;
  }
  const size_t part = std::min(size_ - filled_, bytes->size());
  if (part > 0) std::memcpy(memory_ + filled_, bytes->data(), part);
  filled_ += part;
  bytes->remove_prefix(part);
  return filled_ == size_ ? Result::kMessage : Result::kMore;
}

Message MessageReader::Take() {
  Message message = size_ == 0 ? Message() : Message(std::move(slice_));
  Drop();
  return message;
}

void MessageReader::Drop() {
  own_->Give(counted_);
  all_->Give(counted_);
  counted_ = 0;
  slice_ = Slice();
  memory_ = nullptr;
  prefix_filled_ = 0;
}

}  // namespace jetd::rpc
