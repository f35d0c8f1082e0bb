// SPDX-License-Identifier: Apache-2.0
#include "rpc/framing.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "rpc/bounds.h"

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
  filled_ = 0;
  return Result::kMore;
}

bool MessageReader::Grow(size_t bytes) {
  const size_t room = std::min(size_, std::max({kFirstMessageBytes, 2 * room_, filled_ + bytes}));
  if (!share_->Take(room)) return false;  // beside the old memory, for a moment
  char* memory = nullptr;
  Slice slice = Slice::Allocate(room, &memory);
  if (filled_ > 0) std::memcpy(memory, memory_, filled_);
  share_->Give(std::exchange(room_, room));
  slice_ = std::move(slice);
  memory_ = memory;
  return true;
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
  for (;;) {
    const size_t part = std::min(room_ - filled_, bytes->size());
    if (part > 0) std::memcpy(memory_ + filled_, bytes->data(), part);
    filled_ += part;
    bytes->remove_prefix(part);
    if (filled_ == size_) return Result::kMessage;
    if (bytes->empty()) return Result::kMore;
    if (!Grow(bytes->size())) return Result::kNoRoom;
  }
}

Message MessageReader::Take() {
  Message message = size_ == 0 ? Message() : Message(std::move(slice_));
  Drop();
  return message;
}

void MessageReader::Drop() {
  share_->Give(std::exchange(room_, 0));
  slice_ = Slice();
  memory_ = nullptr;
  prefix_filled_ = 0;
}

}  // namespace jetd::rpc
