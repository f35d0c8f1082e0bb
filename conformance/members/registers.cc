// SPDX-License-Identifier: Apache-2.0
#include "conformance/members/registers.h"

#include <charconv>
#include <utility>

#include "base/strings.h"

namespace jetd::conformance {
namespace {

constexpr size_t kDigits = 12;

void Raise(std::atomic<int64_t>& to, int64_t value) {
  int64_t now = to.load();
  while (now < value && !to.compare_exchange_weak(now, value)) {
  }
}

}  // namespace

Registers::Registers(size_t count) : registers_(count) {}

std::string Registers::KeyOf(size_t i) { return Cat(Prefix(), i); }

std::string Registers::ValueOf(int64_t number) {
  const std::string digits = Cat(number);
  return std::string(kDigits - digits.size(), '0') + digits;
}

int64_t Registers::NumberOf(std::string_view value) {
  int64_t number = -1;
  const auto end = std::from_chars(value.data(), value.data() + value.size(), number);
  return value.size() == kDigits && end.ptr == value.data() + value.size() ? number : -1;
}

int64_t Registers::Next(size_t i) { return ++registers_[i].sent; }

Registers::Floor Registers::FloorOf(size_t i) const {
  return {.number = registers_[i].seen.load(), .revision = revision_.load()};
}

void Registers::TakeWritten(size_t i, const Floor& floor, int64_t number, int64_t revision) {
  ++writes_;
  if (revision <= floor.revision) {
    Violate("revision went back", Cat("register ", i, ", the write of ", number, " at revision ",
                                      revision, " after ", floor.revision));
  }
  Raise(registers_[i].seen, number);
  Raise(revision_, revision);
}

void Registers::TakeRefused(size_t i, int64_t number, const std::string& where) {
  Violate("stale write", Cat("register ", i, " was not below ", number, ", says ", where));
}

void Registers::TakeRead(size_t i, const Floor& floor, std::string_view value, int64_t revision,
                         const std::string& where) {
  ++reads_;
  const int64_t number = NumberOf(value);
  if (number < floor.number || revision < floor.revision) {
    ++stale_;
    Violate("stale read",
            Cat(where, " shows ", number, " in register ", i, " at revision ", revision, ", after ",
                floor.number, " and revision ", floor.revision, " were seen"));
  }
  if (number > registers_[i].sent.load()) {
    Violate("invented value", Cat(where, " shows ", number, " in register ", i));
  }
  Raise(registers_[i].seen, number);
  Raise(revision_, revision);
}

void Registers::Violate(const char* kind, const std::string& what) {
  MutexLock lock(mutex_);
  violations_.Add(kind, what);
}

history::Violations Registers::TakeViolations() {
  MutexLock lock(mutex_);
  return std::exchange(violations_, {});
}

}  // namespace jetd::conformance
