// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BASE_LOOP_H_
#define JETD_BASE_LOOP_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/executor.h"

namespace jetd {

// Loop is the engine thread's heart: it waits for sockets, timers and work from other threads, and
// runs each to its end. One thread runs it (`Run`), and that thread alone calls everything except
// `Submit`, `Post` and `Stop`, which any thread may call.
//
// Cost: one epoll_wait per batch of events; a `Submit` to a loop that is awake makes no system
// call and no allocation; to one that sleeps, one write to an eventfd. A loop with no timer sleeps
// without a timeout.
//
// Order: tasks submitted by one thread run in the order of submission. Within a round: sockets,
// then submitted tasks, then timers, then what was deferred, then the round hooks.
class Loop : public Executor {
 public:
  // Work handed over without an allocation: the request object itself. It belongs to whoever
  // submitted it; the loop touches it only until `Run` was called.
  class Task {
   public:
    virtual ~Task() = default;
    virtual void Run() = 0;

   private:
    friend class Loop;
    std::atomic<Task*> next_{nullptr};
  };

  // What a watched descriptor is ready for.
  struct Ready {
    bool readable = false;
    bool writable = false;
  };
  using FdHandler = std::function<void(Ready)>;

  Loop();
  ~Loop() override;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Any thread ------------------------------------------------------------------------------
  void Submit(Task* task);
  // The same for a function, with an allocation. For rare things.
  void Post(std::function<void()> fn);
  // Run returns after the current round. What was submitted before is run first. Run may be called
  // again, as tests do.
  void Stop();

  // The engine thread -----------------------------------------------------------------------
  void Run();
  [[nodiscard]] bool InLoop() const { return std::this_thread::get_id() == owner_.load(); }

  [[nodiscard]] MonoTime Now() const override;
  [[nodiscard]] int64_t WallNowMs() const override;
  void Defer(std::function<void()> fn) override;
  TimerId RunAt(MonoTime when, std::function<void()> fn) override;
  bool Cancel(TimerId timer) override;

  // Watches `fd` until UnwatchFd, which comes before the close. Level triggered. A hang-up or an
  // error is reported as readable (the read then tells).
  void WatchFd(int fd, Ready interest, FdHandler handler);
  void ChangeFd(int fd, Ready interest);
  void UnwatchFd(int fd);

  // Called at the end of every round, before sleeping: where batches are sent. Hooks stay for the
  // loop's life and may defer work (which runs before the sleep).
  void AddRoundHook(std::function<void()> hook);

 private:
  struct Watched;
  struct FnTask;

  void Wake();
  bool RunSubmitted();
  bool RunDeferredWork();
  void RunTimers();
  [[nodiscard]] int PollTimeoutMs() const;
  void Poll(int timeout_ms);

  // Constant.
  int epoll_fd_ = -1;
  int wake_fd_ = -1;

  // Self-synchronised. Submitted tasks, newest first; the loop takes the list whole and turns it.
  std::atomic<Task*> submitted_{nullptr};
  std::atomic<bool> asleep_{false};
  std::atomic<bool> stop_{false};
  std::atomic<std::thread::id> owner_{};

  // The engine thread's.
  TimerId next_timer_ = 1;
  std::map<std::pair<MonoTime, TimerId>, std::function<void()>> timers_;
  std::unordered_map<TimerId, MonoTime> timer_times_;
  std::vector<std::function<void()>> deferred_;
  std::vector<std::function<void()>> hooks_;
  std::unordered_map<int, std::unique_ptr<Watched>> watched_;
  // Handlers removed during a round are kept until its end: one of them may be running.
  std::vector<std::unique_ptr<Watched>> retired_;
};

}  // namespace jetd

#endif  // JETD_BASE_LOOP_H_
