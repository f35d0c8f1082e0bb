// SPDX-License-Identifier: Apache-2.0
#include "rpc/message.h"

#include <atomic>
#include <cstdint>
#include <cstring>
#include <new>

namespace jetd::rpc {
namespace {

// Memory of a slice's own: the count, and the bytes behind it.
struct Block {
  std::atomic<uint32_t> users{1};
};

void Ref(void* block) { static_cast<Block*>(block)->users.fetch_add(1, std::memory_order_relaxed); }

void Unref(void* block) {
  auto* const mine = static_cast<Block*>(block);
  if (mine->users.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  mine->~Block();
  ::operator delete(block);
}

constexpr Slice::Counting kCounting{.ref = &Ref, .unref = &Unref};

}  // namespace

Slice Slice::Allocate(size_t bytes, char** memory) {
  *memory = nullptr;
  if (bytes == 0) return {};
  auto* const block = new (::operator new(sizeof(Block) + bytes)) Block;
  *memory = reinterpret_cast<char*>(block + 1);
  return {std::string_view(*memory, bytes), block, &kCounting};
}

Slice Slice::Copy(std::string_view bytes) {
  char* memory = nullptr;
  Slice slice = Allocate(bytes.size(), &memory);
  if (memory != nullptr) std::memcpy(memory, bytes.data(), bytes.size());
  return slice;
}

std::string Message::Flatten() const {
  std::string bytes;
  bytes.reserve(size_);
  for (const Slice& piece : pieces_) bytes.append(piece.bytes());
  return bytes;
}

}  // namespace jetd::rpc
