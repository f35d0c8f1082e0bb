// SPDX-License-Identifier: Apache-2.0
#include "base/loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/check.h"

namespace jetd {

struct Loop::Watched {
  int fd;
  Ready interest;
  bool removed = false;
  TimerId retry = 0;  // not 0: the system had no room to watch it yet
  FdHandler handler;
  std::function<void()> add;
};

struct Loop::FnTask : Loop::Task {
  explicit FnTask(std::function<void()> f) : fn(std::move(f)) {}
  void Run() override {
    // Deleted first thing: a function that stops the loop must not leak its own task.
    auto self = std::unique_ptr<FnTask>(this);
    fn();
  }
  std::function<void()> fn;
};

namespace {

// How long until what could not be watched is tried again.
constexpr std::chrono::milliseconds kWatchPause{100};

uint32_t EventsOf(Loop::Ready interest) {
  return (interest.readable ? EPOLLIN : 0U) | (interest.writable ? EPOLLOUT : 0U);
}

}  // namespace

Loop::Loop() {
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  JETD_CHECK(epoll_fd_ >= 0) << "epoll_create1: errno " << errno;
  wake_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  JETD_CHECK(wake_fd_ >= 0) << "eventfd: errno " << errno;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  JETD_CHECK(epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, wake_fd_, &event) == 0) << "epoll_ctl";
}

Loop::~Loop() {
  RunSubmitted();
  close(wake_fd_);
  close(epoll_fd_);
}

void Loop::Submit(Task* task) {
  Task* head = submitted_.load(std::memory_order_relaxed);
  do {
    task->next_.store(head, std::memory_order_relaxed);
  } while (!submitted_.compare_exchange_weak(head, task, std::memory_order_seq_cst));
  // The sleeper sets asleep_ and then looks at the list; we set the list and then look at
  // asleep_. Sequential consistency of the four makes sure that one of the two sees the other.
  if (asleep_.load(std::memory_order_seq_cst)) Wake();
}

void Loop::Post(std::function<void()> fn) { Submit(new FnTask(std::move(fn))); }

void Loop::Stop() {
  stop_.store(true, std::memory_order_seq_cst);
  Wake();
}

void Loop::Wake() {
  if (!asleep_.exchange(false, std::memory_order_seq_cst) && !stop_.load()) return;
  const uint64_t one = 1;
  // EAGAIN means that the counter is full, so the loop wakes anyway.
  while (write(wake_fd_, &one, sizeof(one)) < 0 && errno == EINTR) {
  }
}

void Loop::Run() {
  owner_.store(std::this_thread::get_id());
  while (!stop_.load(std::memory_order_seq_cst)) {
    asleep_.store(true, std::memory_order_seq_cst);
    const bool busy = submitted_.load(std::memory_order_seq_cst) != nullptr || !deferred_.empty();
    if (busy) asleep_.store(false, std::memory_order_seq_cst);
    Poll(busy ? 0 : PollTimeoutMs());
    RunSubmitted();
    RunTimers();
    // Hooks send batches and may defer; deferred work may submit to the hooks' queues. Both are
    // bounded by what the round brought in, so this ends.
    do {
      RunDeferredWork();
      for (const auto& hook : hooks_) hook();
    } while (!deferred_.empty());
    retired_.clear();
  }
  RunSubmitted();
  RunDeferredWork();
  stop_.store(false, std::memory_order_seq_cst);
  owner_.store(std::thread::id());
}

void Loop::Poll(int timeout_ms) {
  std::array<epoll_event, 64> events;
  const int n = epoll_wait(epoll_fd_, events.data(), events.size(), timeout_ms);
  asleep_.store(false, std::memory_order_seq_cst);
  for (int i = 0; i < n; ++i) {
    auto* watched = static_cast<Watched*>(events[i].data.ptr);
    if (watched == nullptr) {
      uint64_t count = 0;
      [[maybe_unused]] const ssize_t got = read(wake_fd_, &count, sizeof(count));
      continue;
    }
    if (watched->removed) continue;
    Ready ready;
    ready.readable = (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0;
    ready.writable = (events[i].events & EPOLLOUT) != 0;
    watched->handler(ready);
  }
}

bool Loop::RunSubmitted() {
  Task* newest = submitted_.exchange(nullptr, std::memory_order_seq_cst);
  if (newest == nullptr) return false;
  Task* oldest = nullptr;
  while (newest != nullptr) {
    Task* next = newest->next_.load(std::memory_order_relaxed);
    newest->next_.store(oldest, std::memory_order_relaxed);
    oldest = newest;
    newest = next;
  }
  while (oldest != nullptr) {
    Task* next = oldest->next_.load(std::memory_order_relaxed);
    oldest->Run();  // may delete itself
    oldest = next;
  }
  return true;
}

bool Loop::RunDeferredWork() {
  bool ran = false;
  while (!deferred_.empty()) {
    std::vector<std::function<void()>> batch;
    batch.swap(deferred_);
    for (auto& fn : batch) fn();
    ran = true;
  }
  return ran;
}

MonoTime Loop::Now() const {
  return std::chrono::duration_cast<MonoTime>(std::chrono::steady_clock::now().time_since_epoch());
}

int64_t Loop::WallNowMs() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void Loop::Defer(std::function<void()> fn) { deferred_.push_back(std::move(fn)); }

TimerId Loop::RunAt(MonoTime when, std::function<void()> fn) {
  const TimerId id = next_timer_++;
  timers_.emplace(std::pair(when, id), std::move(fn));
  timer_times_.emplace(id, when);
  return id;
}

bool Loop::Cancel(TimerId timer) {
  auto it = timer_times_.find(timer);
  if (it == timer_times_.end()) return false;
  timers_.erase(std::pair(it->second, timer));
  timer_times_.erase(it);
  return true;
}

void Loop::RunTimers() {
  if (timers_.empty()) return;
  const MonoTime now = Now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    auto node = timers_.extract(timers_.begin());
    timer_times_.erase(node.key().second);
    node.mapped()();
  }
}

int Loop::PollTimeoutMs() const {
  if (timers_.empty()) return -1;
  const auto wait = timers_.begin()->first.first - Now();
  if (wait <= MonoTime::zero()) return 0;
  // Rounded up: waking a moment before the timer would spin.
  const int64_t ms = (wait.count() + 999'999) / 1'000'000;
  return ms > 60'000 ? 60'000 : static_cast<int>(ms);
}

void Loop::WatchFd(int fd, Ready interest, FdHandler handler) {
  auto watched = std::make_unique<Watched>();
  watched->fd = fd;
  watched->interest = interest;
  watched->handler = std::move(handler);
  // How much may be watched is the system's to say (fs.epoll.max_user_watches): it waits for room.
  watched->add = [this, self = watched.get()] {
    self->retry = 0;
    epoll_event event{};
    event.events = EventsOf(self->interest);
    event.data.ptr = self;
    if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, self->fd, &event) == 0) return;
    JETD_CHECK(errno == ENOSPC || errno == ENOMEM)
        << "epoll_ctl add " << self->fd << ": errno " << errno;
    self->retry = RunAfter(kWatchPause, [self] { self->add(); });
  };
  watched->add();
  watched_[fd] = std::move(watched);
}

void Loop::ChangeFd(int fd, Ready interest) {
  auto it = watched_.find(fd);
  if (it == watched_.end()) return;
  it->second->interest = interest;
  if (it->second->retry != 0) return;
  epoll_event event{};
  event.events = EventsOf(interest);
  event.data.ptr = it->second.get();
  JETD_CHECK(epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &event) == 0)
      << "epoll_ctl mod " << fd << ": errno " << errno;
}

void Loop::UnwatchFd(int fd) {
  auto it = watched_.find(fd);
  if (it == watched_.end()) return;
  it->second->removed = true;
  if (it->second->retry != 0) Cancel(it->second->retry);
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
  retired_.push_back(std::move(it->second));
  watched_.erase(it);
}

void Loop::AddRoundHook(std::function<void()> hook) { hooks_.push_back(std::move(hook)); }

}  // namespace jetd
