// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_MEMBERS_REGISTER_WRITER_H_
#define JETD_CONFORMANCE_MEMBERS_REGISTER_WRITER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "conformance/members/registers.h"
#include "etcdclient/client.h"

namespace jetd::conformance {

// The writer of some registers: raises one after the other, each time through another member, with
// a pause in between.
//
// Thread rules: made and destroyed by one thread; it has one of its own.
class RegisterWriter {
 public:
  struct Options {
    std::vector<std::string> endpoints;
    // It writes the registers first, first + step, …
    size_t first = 0;
    size_t step = 1;
    std::chrono::milliseconds pause{2};
    uint64_t seed = 1;
  };

  // `registers` outlives it.
  RegisterWriter(Options options, Registers* registers);
  ~RegisterWriter();
  RegisterWriter(const RegisterWriter&) = delete;
  RegisterWriter& operator=(const RegisterWriter&) = delete;

 private:
  void Run();
  void Write(etcdclient::Client& client, const std::string& endpoint, size_t i);

  const Options options_;
  Registers* const registers_;
  std::atomic<bool> stop_{false};
  std::mt19937_64 random_;  // the thread's
  std::thread thread_;
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_MEMBERS_REGISTER_WRITER_H_
