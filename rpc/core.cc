// SPDX-License-Identifier: Apache-2.0
#include "rpc/core.h"

#include "rpc/http2_events.h"

namespace jetd::rpc {

void FreeHttp2::operator()(nghttp2_session_callbacks* callbacks) const {
  nghttp2_session_callbacks_del(callbacks);
}
void FreeHttp2::operator()(nghttp2_option* option) const { nghttp2_option_del(option); }

Core::Core(Executor* its_executor, const Methods* its_methods, const TransportOptions& its_options)
    : executor(its_executor),
      methods(its_methods),
      options(its_options),
      callbacks(Http2Events::MakeCallbacks()),
      session_options(Http2Events::MakeOptions()),
      wheel(its_executor) {}

}  // namespace jetd::rpc
