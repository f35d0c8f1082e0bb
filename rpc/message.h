// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_MESSAGE_H_
#define JETD_RPC_MESSAGE_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/inlined_vector.h"

namespace jetd::rpc {

// Slice is a piece of constant bytes that is shared, not copied: memory of its own, or somebody
// else's block that counts its users (a value of the store). One Slice, one thread; those that
// share bytes may be on any.
class Slice {
 public:
  // How users of a block are counted.
  struct Counting {
    void (*ref)(void* block);
    void (*unref)(void* block);
  };

  Slice() = default;
  // Takes over one reference of `block`, which keeps `bytes` alive.
  Slice(std::string_view bytes, void* block, const Counting* counting)
      : bytes_(bytes), block_(block), counting_(counting) {}
  // Memory of its own, a copy. One allocation, none for no bytes.
  [[nodiscard]] static Slice Copy(std::string_view bytes);
  // Memory of its own, to be written through `*memory` before the slice is given to anybody. Null
  // for no bytes.
  [[nodiscard]] static Slice Allocate(size_t bytes, char** memory);

  Slice(const Slice& other)
      : bytes_(other.bytes_), block_(other.block_), counting_(other.counting_) {
    if (block_ != nullptr) counting_->ref(block_);
  }
  Slice(Slice&& other) noexcept
      : bytes_(std::exchange(other.bytes_, {})),
        block_(std::exchange(other.block_, nullptr)),
        counting_(other.counting_) {}
  Slice& operator=(Slice other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(block_, other.block_);
    std::swap(counting_, other.counting_);
    return *this;
  }
  ~Slice() {
    if (block_ != nullptr) counting_->unref(block_);
  }

  [[nodiscard]] std::string_view bytes() const { return bytes_; }
  [[nodiscard]] size_t size() const { return bytes_.size(); }
  // The same memory, a part of it.
  [[nodiscard]] Slice Sub(size_t begin, size_t end) const {
    Slice part(*this);
    part.bytes_ = bytes_.substr(begin, end - begin);
    return part;
  }

 private:
  std::string_view bytes_;
  void* block_ = nullptr;
  const Counting* counting_ = nullptr;
};

// Message is the bytes of one protobuf message, in pieces; most are one piece, which costs no
// allocation. A value; copies share the bytes.
class Message {
 public:
  using Pieces = absl::InlinedVector<Slice, 1>;

  Message() = default;
  explicit Message(Slice piece) : size_(piece.size()) { pieces_.push_back(std::move(piece)); }
  explicit Message(Pieces pieces) : pieces_(std::move(pieces)) {
    for (const Slice& piece : pieces_) size_ += piece.size();
  }

  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] const Pieces& pieces() const { return pieces_; }
  // The bytes of a message that came from a client, which are one piece.
  [[nodiscard]] std::string_view whole() const {
    return pieces_.empty() ? std::string_view() : pieces_.front().bytes();
  }
  void Clear() {
    pieces_.clear();
    size_ = 0;
  }
  // A copy of all bytes.
  [[nodiscard]] std::string Flatten() const;

 private:
  Pieces pieces_;
  size_t size_ = 0;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_MESSAGE_H_
