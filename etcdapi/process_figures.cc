// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/process_figures.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <system_error>

namespace jetd::etcdapi {
namespace {

double SecondsOf(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

uint64_t LimitOf(__rlimit_resource resource) {
  rlimit limit{};
  return getrlimit(resource, &limit) == 0 ? limit.rlim_cur : 0;
}

uint64_t EntriesOf(const char* folder) {
  std::error_code ignored;
  uint64_t entries = 0;
  for (std::filesystem::directory_iterator it(folder, ignored), end; it != end && !ignored;
       it.increment(ignored)) {
    ++entries;
  }
  return entries;
}

double SecondsOf(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// proc(5): field 22 of stat is the start in ticks since boot. What stands before field 3 is the
// program's name in brackets, which may hold anything.
double StartTime() {
  std::ifstream stat("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(stat)), std::istreambuf_iterator<char>());
  const size_t bracket = text.rfind(')');
  if (bracket == text.npos) return 0;
  std::istringstream fields(text.substr(bracket + 1));
  std::string field;
  for (int number = 3; number <= 22; ++number) fields >> field;
  uint64_t ticks = 0;
  if (!fields || !(std::istringstream(field) >> ticks)) return 0;
  return SecondsOf(CLOCK_REALTIME) - SecondsOf(CLOCK_BOOTTIME) +
         static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

ProcessFigures ReadProcessFigures() {
  // Once: the clocks may be set.
  static const double start_time_seconds = StartTime();
  ProcessFigures figures;
  figures.start_time_seconds = start_time_seconds;
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    figures.cpu_seconds = SecondsOf(usage.ru_utime) + SecondsOf(usage.ru_stime);
  }
  uint64_t pages = 0;
  uint64_t resident_pages = 0;
  if (std::ifstream("/proc/self/statm") >> pages >> resident_pages) {
    const auto page_bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    figures.virtual_bytes = pages * page_bytes;
    figures.resident_bytes = resident_pages * page_bytes;
  }
  figures.max_virtual_bytes = LimitOf(RLIMIT_AS);
  figures.max_fds = LimitOf(RLIMIT_NOFILE);
  // Less the one that reads the folder.
  const uint64_t fds = EntriesOf("/proc/self/fd");
  figures.open_fds = fds > 0 ? fds - 1 : 0;
  figures.threads = EntriesOf("/proc/self/task");
  return figures;
}

}  // namespace jetd::etcdapi
