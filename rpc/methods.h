// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_METHODS_H_
#define JETD_RPC_METHODS_H_

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rpc/call.h"

namespace jetd::rpc {

// Methods is what a transport serves, by path ("/etcdserverpb.KV/Range"). Filled before the
// transport starts, constant afterwards.
class Methods {
 public:
  // A client has begun a call: headers are there, no message yet. The answer serves it, and belongs
  // to itself (see CallHandler::OnOver); never null. It may call Finish on `call` at once.
  using Open = std::function<CallHandler*(Call* call)>;
  // A unary call has one message each way. Its client is expected to send its own at once.
  enum class Kind { kUnary, kStream };
  struct Method {
    Open open;
    Kind kind;
  };

  // REQUIRES: a path of the form "/service/method".
  void Add(const std::string& path, Kind kind, Open open) {
    services_.insert(path.substr(1, path.rfind('/') - 1));
    methods_[path] = {std::move(open), kind};
  }
  // Null: a path that nobody serves, which the transport answers itself, with grpc-go's words.
  [[nodiscard]] const Method* Find(std::string_view path) const {
    const auto it = methods_.find(path);
    return it == methods_.end() ? nullptr : &it->second;
  }
  [[nodiscard]] bool HasService(std::string_view name) const {
    return services_.find(name) != services_.end();
  }

  // A name of metadata (in lower case) that calls are asked for: Call::metadata has it.
  void Keep(std::string name) { kept_.push_back(std::move(name)); }
  [[nodiscard]] bool Keeps(std::string_view name) const {
    return std::find(kept_.begin(), kept_.end(), name) != kept_.end();
  }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  std::unordered_map<std::string, Method, Hash, std::equal_to<>> methods_;
  std::set<std::string, std::less<>> services_;
  std::vector<std::string> kept_;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_METHODS_H_
