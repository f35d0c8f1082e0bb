// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_SIMPLE_CALL_H_
#define JETD_ETCDAPI_SIMPLE_CALL_H_

#include <functional>
#include <memory>
#include <utility>

#include "etcdapi/unary_call.h"

namespace jetd::etcdapi {

// SimpleCall is a call whose work is one function: for the RPCs that are rare or need no checks of
// their own. The function runs on the engine thread and answers once, now or later.
template <typename Message>
class SimpleCall final : public MessageCall<Message> {
 public:
  using Handler = std::function<void(SimpleCall*)>;
  SimpleCall(UnaryPool* pool, Handler handler)
      : MessageCall<Message>(pool), handler_(std::move(handler)) {}

  using MessageCall<Message>::Fail;
  using MessageCall<Message>::Reply;
  using MessageCall<Message>::request;

 private:
  rpc::Status Prepare() override { return rpc::Status(); }
  void Start() override { handler_(this); }

  const Handler handler_;
};

template <typename Message>
[[nodiscard]] UnaryPool::Factory SimpleCallFactory(typename SimpleCall<Message>::Handler handler) {
  return [handler = std::move(handler)](UnaryPool* pool) {
    return std::make_unique<SimpleCall<Message>>(pool, handler);
  };
}

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_SIMPLE_CALL_H_
