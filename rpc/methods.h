// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_METHODS_H_
#define JETD_RPC_METHODS_H_

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "rpc/call.h"

namespace jetd::rpc {

// Methods is what a transport serves, by path ("/etcdserverpb.KV/Range"). Filled before the
// transport starts, constant afterwards.
class Methods {
 public:
  // A client has begun a call: headers are there, no message yet. The answer serves it, and belongs
  // to itself (see CallHandler::OnOver); never null. It may call Finish on `call` at once.
  using Open = std::function<CallHandler*(Call* call)>;

  void Add(std::string path, Open open) { opens_[std::move(path)] = std::move(open); }
  // Null: a path that nobody serves, which the transport answers itself, with grpc-go's words.
  [[nodiscard]] const Open* Find(std::string_view path) const {
    const auto it = opens_.find(path);
    return it == opens_.end() ? nullptr : &it->second;
  }

 private:
  std::map<std::string, Open, std::less<>> opens_;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_METHODS_H_
