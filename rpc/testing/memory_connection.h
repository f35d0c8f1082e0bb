// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_TESTING_MEMORY_CONNECTION_H_
#define JETD_RPC_TESTING_MEMORY_CONNECTION_H_

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "rpc/connection.h"

namespace jetd::rpc {

// MemoryConnection is a connection without a socket: bytes go in, bytes come out. One thread.
class MemoryConnection final : private Connection::Host {
 public:
  explicit MemoryConnection(Core* core) : connection_(core, this) {}
  ~MemoryConnection() {
    connection_.Abort();
    connection_.RunEvents(SIZE_MAX);
  }

  // Gives the server `bytes` and tells its handlers. False: it listens no more.
  bool Send(std::string_view bytes) {
    const bool listens = connection_.Receive(bytes);
    connection_.RunEvents(SIZE_MAX);
    return listens;
  }
  // All that the server says now. Written means taken here.
  [[nodiscard]] std::string Receive() {
    std::string all;
    for (bool more = true; more;) {
      connection_.RunEvents(SIZE_MAX);
      connection_.Fill();
      Output& output = connection_.output();
      more = !output.empty();
      while (!output.empty()) {
        std::array<iovec, 16> pieces;
        const int count = output.Pieces(pieces.data(), static_cast<int>(pieces.size()));
        size_t bytes = 0;
        for (int i = 0; i < count; ++i) {
          const iovec& piece = pieces[static_cast<size_t>(i)];
          all.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
          bytes += piece.iov_len;
        }
        output.Advance(bytes);
      }
      more = more || connection_.has_events();
    }
    return all;
  }
  [[nodiscard]] Connection& operator*() { return connection_; }
  [[nodiscard]] Connection* operator->() { return &connection_; }

 private:
  void OnWork() override {}

  Connection connection_;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_TESTING_MEMORY_CONNECTION_H_
