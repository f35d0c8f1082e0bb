// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_OUTPUT_H_
#define JETD_RPC_OUTPUT_H_

#include <sys/uio.h>

#include <cstddef>
#include <deque>
#include <string_view>
#include <vector>

#include "rpc/message.h"

namespace jetd::rpc {

// Output is what a connection has to send: frames, with large pieces of messages between them that
// stay where they are.
//
//   copied_: | HEADERS | DATA 9+5 |          | HEADERS |        cuts_: a value, behind byte 60
//                                  \ value  /
//
// Where nothing waits it holds no memory: the buffer goes back to the one that all connections of a
// transport share. One thread.
class Output {
 public:
  // What is larger is not copied. A copy of it costs about as much as an entry more in an iovec.
  static constexpr size_t kSharedFromBytes = 2'048;

  // `spare` is a buffer that lies around; it outlives this.
  explicit Output(std::vector<char>* spare) : spare_(spare) {}
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void Append(std::string_view bytes);
  // Copied or shared, by its size.
  void Append(const Slice& slice);

  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] size_t size() const { return size_; }
  // Of that, in memory of its own.
  [[nodiscard]] size_t copied_bytes() const { return copied_.size() - copied_done_; }
  // Some of it is with the socket already: nothing is to be appended until all is.
  [[nodiscard]] bool begun() const { return copied_done_ + cut_done_ > 0; }

  // The first pieces that wait, at most `count`; how many there are.
  [[nodiscard]] int Pieces(iovec* pieces, int count) const;
  // So many bytes are with the socket.
  void Advance(size_t bytes);
  void Clear();

 private:
  struct Cut {
    size_t behind;  // that many bytes of copied_
    Slice slice;
  };

  std::vector<char>* const spare_;
  std::vector<char> copied_;
  std::deque<Cut> cuts_;
  size_t copied_done_ = 0;  // of copied_, sent
  size_t cut_done_ = 0;     // of cuts_.front(), sent
  size_t size_ = 0;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_OUTPUT_H_
