// SPDX-License-Identifier: Apache-2.0
//
// A client's bytes, in pieces that they choose themselves: a line's first byte says how many
// follow. Whatever they are, the connection neither breaks nor keeps a call, a byte or a timer.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "base/fake_executor.h"
#include "base/fuzz_input.h"
#include "rpc/testing/echo_methods.h"
#include "rpc/testing/memory_connection.h"
#include "rpc/testing/raw_client.h"

namespace jetd::rpc {
namespace {

void Run(FuzzInput input) {
  FakeExecutor executor;
  EchoMethods methods(100'000);
  TransportOptions options;
  options.max_message_bytes = 100'000;
  options.max_concurrent_streams = 20;
  Core core(&executor, &methods.methods(), options);
  {
    MemoryConnection server(&core);
    RawClient client;
    const uint8_t ways = input.Byte();
    bool listens = (ways & 1) != 0 || server.Send(RawClient::Hello());
    while (listens && !input.empty()) {
      const uint8_t step = input.Byte();
      if (step == 0xFF) executor.Advance(std::chrono::seconds(input.Byte()));
      if (step == 0xFE) server->Drain();
      if (step == 0xFD) methods.Release();
      if (step < 0xFD) listens = server.Send(input.Take(size_t{step} + 1));
      // A server's own bytes are good HTTP/2, whatever it heard.
      client.Receive(server.Receive());
      if (server->finished()) break;
    }
  }
  JETD_CHECK(core.incoming.used() == 0) << core.incoming.used() << " bytes are still counted";
  JETD_CHECK(core.unsent.used() == 0) << core.unsent.used() << " bytes of answers are counted";
  const auto& heard = methods.heard();
  JETD_CHECK(heard.opened == heard.over_sent + heard.over_unsent) << "a call has not ended";
}

}  // namespace
}  // namespace jetd::rpc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  jetd::rpc::Run(jetd::FuzzInput(data, size_bytes));
  return 0;
}
