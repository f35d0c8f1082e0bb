// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_FRAMING_H_
#define JETD_RPC_FRAMING_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "rpc/byte_budget.h"
#include "rpc/message.h"

namespace jetd::rpc {

// Before each message of gRPC: a byte that says whether it is compressed, then its size,
// big-endian.
inline constexpr size_t kPrefixBytes = 5;
[[nodiscard]] std::array<char, kPrefixBytes> PrefixOf(size_t message_bytes);

// MessageReader puts the messages of one call together from the pieces in which they come.
//
//   "\0\0\0\0\3ab" "c\0\0\0\0\1d"  ->  "abc", "d"
//
// A message's memory is taken once, when its size is known and found allowed; that of a large one
// grows with what has come of it, since a size is said quickly. It counts in the client's share
// until the message is taken away. One thread.
class MessageReader {
 public:
  enum class Result {
    kMore,        // all is eaten, no message is whole
    kMessage,     // one is whole: Take it. The rest is not eaten
    kTooLarge,    // announced_bytes() is above the limit
    kCompressed,  // its flag says so
    kMalformed,   // a flag that gRPC does not have
    kNoRoom,      // the client's share does not allow it now
  };

  MessageReader(size_t max_message_bytes, ByteShare* share)
      : max_message_bytes_(max_message_bytes), share_(share) {}
  ~MessageReader() { Drop(); }
  MessageReader(const MessageReader&) = delete;
  MessageReader& operator=(const MessageReader&) = delete;

  // Eats from the front of `*bytes`. REQUIRES: no message waits to be taken. After an error it is
  // not to be called again.
  [[nodiscard]] Result Feed(std::string_view* bytes);
  // The message of kMessage, which counts no more.
  [[nodiscard]] Message Take();
  // Gives back what is counted.
  void Drop();

  // True between messages: the client may end here.
  [[nodiscard]] bool between_messages() const { return prefix_filled_ == 0; }
  [[nodiscard]] size_t announced_bytes() const { return size_; }
  [[nodiscard]] int flag() const { return static_cast<unsigned char>(prefix_[0]); }

 private:
  [[nodiscard]] Result Begin();
  // Memory for so many bytes more of the message, at least. False: there is no room.
  [[nodiscard]] bool Grow(size_t bytes);

  const size_t max_message_bytes_;
  ByteShare* const share_;
  std::array<char, kPrefixBytes> prefix_{};
  size_t prefix_filled_ = 0;
  size_t size_ = 0;
  size_t filled_ = 0;
  size_t room_ = 0;  // bytes of memory_, which count
  char* memory_ = nullptr;
  Slice slice_;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_FRAMING_H_
