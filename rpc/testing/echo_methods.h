// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_TESTING_ECHO_METHODS_H_
#define JETD_RPC_TESTING_ECHO_METHODS_H_

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/methods.h"

namespace jetd::rpc {

// EchoMethods is a small service for tests of a transport, with every kind of call:
//
//   /test.Echo/Unary    one message, and it back
//   /test.Echo/Collect  messages until the client has no more; all of them as one
//   /test.Echo/Chat     each message back, until the client has no more
//   /test.Echo/Large    unary: "3000 1000" answers 3000 bytes in pieces of 1000, all of the same
//                       memory, whoever asks
//   /test.Echo/Repeat   "3 x" answers "x" three times; "3 2000 x" with 2000 bytes of it
//   /test.Echo/Fail     "5 text" ends with code 5 and that text
//   /test.Echo/Hold     takes one message, and neither asks for more nor answers until Release
//   /test.Echo/Deaf     asks for nothing
//   /test.Echo/Who      the metadata "who"
//
// Engine thread.
class EchoMethods {
 public:
  // Repeat answers no more than so many bytes in all.
  explicit EchoMethods(size_t most_repeated_bytes = 1UL << 30);
  ~EchoMethods();
  EchoMethods(const EchoMethods&) = delete;
  EchoMethods& operator=(const EchoMethods&) = delete;

  [[nodiscard]] const Methods& methods() const { return methods_; }

  // Calls of Hold and Deaf that are open.
  [[nodiscard]] size_t held() const { return held_.size(); }
  // Ends them, with OK.
  void Release();

  // What handlers have heard since the start.
  struct Heard {
    int opened = 0;
    int written = 0;
    int large = 0;  // answers of Large
    int over_sent = 0;
    int over_unsent = 0;
    Code last_code = Code::kOk;  // of the last that was over
  };
  [[nodiscard]] const Heard& heard() const { return heard_; }

 private:
  class Handler;
  class Echo;
  class Collect;
  class Large;
  class Repeat;
  class Fail;
  class Hold;
  class Who;

  const size_t most_repeated_;
  Methods methods_;
  std::set<Hold*> held_;
  std::map<size_t, Slice> memory_;  // of Large, by size
  Heard heard_;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_TESTING_ECHO_METHODS_H_
