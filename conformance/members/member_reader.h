// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_MEMBERS_MEMBER_READER_H_
#define JETD_CONFORMANCE_MEMBERS_MEMBER_READER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>

#include "base/mutex.h"
#include "conformance/members/registers.h"
#include "etcdclient/client.h"

namespace jetd::conformance {

// Reads registers through one member, linearizably, so many at a time, all the time; after an error
// with a pause.
//
// Thread rules: made and destroyed by one thread; answers come in on the client's, and a thread of
// its own goes on after errors.
class MemberReader {
 public:
  struct Options {
    std::string name;
    std::string endpoint;
    size_t in_flight = 16;
    uint64_t seed = 1;
  };

  // `registers` outlives it.
  MemberReader(Options options, Registers* registers);
  ~MemberReader();
  MemberReader(const MemberReader&) = delete;
  MemberReader& operator=(const MemberReader&) = delete;

  [[nodiscard]] size_t reads() const { return reads_.load(); }
  [[nodiscard]] std::map<std::string, size_t> errors() const;

 private:
  void Read();
  void RunTicker();

  const Options options_;
  Registers* const registers_;
  std::atomic<bool> stop_{false};
  std::atomic<size_t> reads_{0};
  mutable Mutex mutex_;
  std::mt19937_64 random_ ABSL_GUARDED_BY(mutex_);
  size_t put_off_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, size_t> errors_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<etcdclient::Client> client_;
  std::thread ticker_;
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_MEMBERS_MEMBER_READER_H_
