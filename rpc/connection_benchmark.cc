// SPDX-License-Identifier: Apache-2.0
// What a unary call costs the transport, without its handler's work: an echo of 100 bytes. The
// client is what one has sent once, over and over with other stream numbers.
//
// BM_UnaryInMemory is HTTP/2 and gRPC alone; BM_UnaryOverSocket has a transport, its loop and a
// unix socket. The argument is how many calls arrive together. `calls` are per second; the time of
// the client's part is in it, two calls to the system for each batch.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/loop.h"
#include "base/strings.h"
#include "benchmark/benchmark.h"
#include "rpc/testing/echo_methods.h"
#include "rpc/testing/memory_connection.h"
#include "rpc/testing/raw_client.h"
#include "rpc/transport.h"

namespace jetd::rpc {
namespace {

// Calls of a client that has made many: their headers are in both sides' tables.
class Calls {
 public:
  explicit Calls(const RawClient::Fields& more = {}) : more_(more) {
    first_ = RawClient::Hello({{4, 1U << 30}}) + RawClient::Window(0, 1U << 30) + Batch(1);
    // Every later one is made of the same bytes.
    headers_ = client_.Headers(0, RawClient::CallOf("/test.Echo/Unary", more_));
    message_ = RawClient::Message(0, std::string(100, 'x'), Frame::kEndStream);
  }

  // Preface, settings and a first call.
  [[nodiscard]] const std::string& first() const { return first_; }
  [[nodiscard]] std::string Next(int64_t count) {
    std::string all;
    for (int64_t i = 0; i < count; ++i) {
      all += WithStream(headers_);
      all += WithStream(message_);
      id_ += 2;
    }
    return all;
  }
  // The windows that answers have taken, again.
  [[nodiscard]] static std::string Window() { return RawClient::Window(0, 1U << 20); }
  [[nodiscard]] bool at_end() const { return id_ > 2'000'000'000; }

 private:
  std::string Batch(int count) {
    std::string all;
    for (int i = 0; i < count; ++i, id_ += 2) {
      all += client_.Headers(id_, RawClient::CallOf("/test.Echo/Unary", more_));
      all += RawClient::Message(id_, std::string(100, 'x'), Frame::kEndStream);
    }
    return all;
  }
  [[nodiscard]] std::string WithStream(std::string frame) const {
    constexpr size_t kAt = 5;
    return frame.replace(kAt, 4, FourBytes(id_));
  }

  const RawClient::Fields more_;
  RawClient client_;
  uint32_t id_ = 1;
  std::string first_, headers_, message_;
};

TransportOptions Options() {
  TransportOptions options;
  options.max_message_bytes = 1'000'000;
  return options;
}

void UnaryInMemory(benchmark::State& state, const RawClient::Fields& more) {
  Loop loop;
  EchoMethods methods;
  Core core(&loop, &methods.methods(), Options());
  MemoryConnection server(&core);
  Calls calls(more);
  server.Send(calls.first());
  benchmark::DoNotOptimize(server.Receive());
  size_t answered = 0;
  for (auto _ : state) {
    state.PauseTiming();
    const std::string batch = calls.Next(state.range(0));
    state.ResumeTiming();
    JETD_CHECK(server.Send(batch));
    const std::string answer = server.Receive();
    answered += answer.size();
    if (answered > (1U << 20)) {
      answered = 0;
      server.Send(Calls::Window());
    }
  }
  state.counters["calls"] = benchmark::Counter(
      static_cast<double>(state.iterations() * state.range(0)), benchmark::Counter::kIsRate);
}

void BM_UnaryInMemory(benchmark::State& state) { UnaryInMemory(state, {}); }
BENCHMARK(BM_UnaryInMemory)->Arg(64)->Arg(1000);

void BM_UnaryWithDeadlineInMemory(benchmark::State& state) {
  UnaryInMemory(state, {{"grpc-timeout", "59999m"}});
}
BENCHMARK(BM_UnaryWithDeadlineInMemory)->Arg(64);

void BM_UnaryOverSocket(benchmark::State& state) {
  std::string folder = (std::filesystem::temp_directory_path() / "jetd-rpc-XXXXXX").string();
  JETD_CHECK(mkdtemp(folder.data()) != nullptr);
  const std::string path = folder + "/socket";
  Loop loop;
  EchoMethods methods;
  Transport transport(&loop, &methods.methods(), {Options(), nullptr});
  std::vector<std::unique_ptr<ListeningSocket>> sockets;
  sockets.push_back(*ListeningSocket::OpenUnix(path, ListeningSocket::Access::kOwner));
  transport.Serve(std::move(sockets));
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, path.size());
  JETD_CHECK(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  Calls calls;
  std::vector<char> buffer(1U << 20);
  int wanted = 0;
  size_t answered = 0;
  // One thread is both sides: a hook stops the loop when all is answered.
  loop.AddRoundHook([&] {
    if (methods.heard().over_sent >= wanted) loop.Stop();
  });
  const auto exchange = [&](const std::string& bytes) {
    JETD_CHECK(write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    loop.Run();
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    JETD_CHECK(got > 0) << got;
    answered += static_cast<size_t>(got);
  };
  wanted = 1;
  exchange(calls.first());
  for (auto _ : state) {
    state.PauseTiming();
    std::string batch = calls.Next(state.range(0));
    if (answered > (1U << 20)) batch += Calls::Window();
    if (answered > (1U << 20)) answered = 0;
    wanted += static_cast<int>(state.range(0));
    state.ResumeTiming();
    exchange(batch);
  }
  state.counters["calls"] = benchmark::Counter(
      static_cast<double>(state.iterations() * state.range(0)), benchmark::Counter::kIsRate);
  close(fd);
  transport.Close();
  std::filesystem::remove_all(folder);
}
BENCHMARK(BM_UnaryOverSocket)->Arg(1)->Arg(8)->Arg(64);

}  // namespace
}  // namespace jetd::rpc

BENCHMARK_MAIN();
