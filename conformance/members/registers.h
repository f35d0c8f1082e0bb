// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_MEMBERS_REGISTERS_H_
#define JETD_CONFORMANCE_MEMBERS_REGISTERS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "conformance/history/violations.h"

namespace jetd::conformance {

// Keys whose values only grow, and what everybody knows of them: cheap to check, so that millions
// of reads can be, and yet nothing that linearizable reads promise is left out. Each register has
// one writer, which writes a number only if the one that is there is smaller.
//
//   floor = registers.FloorOf(3);                     before a read of register 3 is sent
//   registers.TakeRead(3, floor, value, revision)     when it was answered
//
// A read must show at least what any write that was answered, or any read that ended, before it was
// sent has shown, of its register and of the store's revision; and no more than was ever sent.
//
// Any thread.
class Registers {
 public:
  struct Floor {
    int64_t number = 0;
    int64_t revision = 0;
  };

  explicit Registers(size_t count);

  [[nodiscard]] size_t size() const { return registers_.size(); }
  [[nodiscard]] static std::string Prefix() { return "/members/register/"; }
  [[nodiscard]] static std::string KeyOf(size_t i);
  // Numbers as values: their order is that of the texts. -1: no such text.
  [[nodiscard]] static std::string ValueOf(int64_t number);
  [[nodiscard]] static int64_t NumberOf(std::string_view value);

  // The number to write next; from here on it may be read.
  [[nodiscard]] int64_t Next(size_t i);
  void TakeWritten(size_t i, const Floor& floor, int64_t number, int64_t revision);
  // The writer's number was not above what is there: somebody else has written.
  void TakeRefused(size_t i, int64_t number, const std::string& where);

  [[nodiscard]] Floor FloorOf(size_t i) const;
  void TakeRead(size_t i, const Floor& floor, std::string_view value, int64_t revision,
                const std::string& where);

  [[nodiscard]] size_t reads() const { return reads_.load(); }
  [[nodiscard]] size_t writes() const { return writes_.load(); }
  [[nodiscard]] size_t stale() const { return stale_.load(); }
  [[nodiscard]] history::Violations TakeViolations();

 private:
  struct Register {
    std::atomic<int64_t> sent{0};
    std::atomic<int64_t> seen{0};
  };
  void Violate(const char* kind, const std::string& what);

  std::vector<Register> registers_;
  std::atomic<int64_t> revision_{0};  // highest that anybody saw
  std::atomic<size_t> reads_{0}, writes_{0}, stale_{0};
  Mutex mutex_;
  history::Violations violations_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_MEMBERS_REGISTERS_H_
