// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_TIMER_WHEEL_H_
#define JETD_RPC_TIMER_WHEEL_H_

#include <array>
#include <cstdint>

#include "base/executor.h"

namespace jetd::rpc {

// TimerWheel keeps the deadlines of many calls and connections for the price of a list entry each:
// almost all are taken away before they are due. It is coarse: a timer fires up to kTick late,
// never early. It holds one timer of the executor at most, and none for long once it is empty.
//
// Three levels of slots: kTick wide, 256 of those, 256 of these. A timer is put where its own slot
// begins to differ from now, and comes down a level when that slot begins:
//
//   now 0x0100fe, due 0x010103: level 1, slot 1; at 0x010100 to level 0, slot 3; fires at 0x010103
//
// Engine thread.
class TimerWheel {
  struct Link {
    Link* prev;
    Link* next;
  };

 public:
  static constexpr std::chrono::milliseconds kTick{32};

  // Belongs to whoever waits, who may end it at any time.
  class Timer : private Link {
   public:
    // `run` is called with `owner`; it may set this timer anew, or destroy it.
    Timer(void (*run)(void* owner), void* owner)
        : Link{nullptr, nullptr}, run_(run), owner_(owner) {}
    ~Timer() { Cancel(); }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    void Cancel();
    [[nodiscard]] bool set() const { return next != nullptr; }

   private:
    friend class TimerWheel;
    void (*const run_)(void* owner);
    void* const owner_;
    int64_t tick_ = 0;
  };

  explicit TimerWheel(Executor* executor);
  ~TimerWheel();
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Instead of an earlier time of this timer.
  void Set(Timer* timer, MonoTime when);

 private:
  static constexpr int kBits = 8;
  static constexpr int kSlots = 1 << kBits;
  static constexpr int kLevels = 3;

  [[nodiscard]] Link* SlotOf(int64_t tick);
  // Of what a slot has to be looked at for; -1: none.
  [[nodiscard]] int64_t NextTick() const;
  void Arm();
  void Turn();
  void EmptyInto(Link* slot);
  [[nodiscard]] int64_t TickAt(MonoTime when) const;

  Executor* const executor_;
  const MonoTime start_;
  std::array<std::array<Link, kSlots>, kLevels> slots_;
  Link beyond_;      // due later than the levels reach
  int64_t now_ = 0;  // all up to this tick have fired
  int64_t armed_for_ = -1;
  TimerId armed_ = 0;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_TIMER_WHEEL_H_
