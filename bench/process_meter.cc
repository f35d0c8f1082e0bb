// SPDX-License-Identifier: Apache-2.0
#include "bench/process_meter.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "base/strings.h"

namespace jetd::bench {
namespace {

namespace fs = std::filesystem;

// Of a line "name:   123 kB"; 0 if there is none.
int64_t NumberAfter(const std::string& text, std::string_view name) {
  size_t at = text.rfind(name, 0) == 0 ? 0 : text.find(Cat("\n", name));
  if (at == std::string::npos) return 0;
  if (text[at] == '\n') ++at;
  return std::atoll(text.c_str() + at + name.size());
}

// Not by iterators: a process that ends meanwhile makes the read fail, and those would throw.
std::string ReadText(const fs::path& path) {
  std::ifstream in(path);
  std::string text;
  std::getline(in, text, '\0');
  return text;
}

std::vector<int> NumbersIn(const fs::path& folder) {
  std::vector<int> numbers;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename();
    int number = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), number);
    if (parsed.ec == std::errc() && parsed.ptr == name.data() + name.size()) {
      numbers.push_back(number);
    }
  }
  return numbers;
}

fs::path FolderOf(pid_t pid) { return fs::path("/proc") / Cat(pid); }

int64_t CpuClock(pid_t pid) {
  clockid_t clock = 0;
  timespec time{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) return 0;
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

std::vector<pid_t> ProcessMeter::Pids() const {
  std::map<pid_t, std::vector<pid_t>> children;
  for (const int pid : NumbersIn("/proc")) {
    // pid (name, which may hold anything) state ppid ...
    const std::string stat = ReadText(FolderOf(pid) / "stat");
    const size_t end = stat.rfind(')');
    if (end == std::string::npos || end + 4 >= stat.size()) continue;
    children[std::atoi(stat.c_str() + end + 4)].push_back(pid);
  }
  std::vector<pid_t> pids = roots_;
  for (size_t i = 0; i < pids.size(); ++i) {
    const auto& more = children[pids[i]];
    pids.insert(pids.end(), more.begin(), more.end());
  }
  std::sort(pids.begin(), pids.end());
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  return pids;
}

ProcessUsage ProcessMeter::Read(pid_t pid) {
  const fs::path folder = FolderOf(pid);
  ProcessUsage usage;
  usage.pid = pid;
  usage.name = ReadText(folder / "comm");
  while (!usage.name.empty() && usage.name.back() == '\n') usage.name.pop_back();
  usage.cpu_ns = CpuClock(pid);
  usage.disk_write_bytes = NumberAfter(ReadText(folder / "io"), "write_bytes:");
  for (const int thread : NumbersIn(folder / "task")) {
    const std::string status = ReadText(folder / "task" / Cat(thread) / "status");
    if (status.empty()) continue;
    switches_[{pid, thread}] = NumberAfter(status, "voluntary_ctxt_switches:") +
                               NumberAfter(status, "nonvoluntary_ctxt_switches:");
  }
  for (auto it = switches_.lower_bound({pid, 0}); it != switches_.end() && it->first.first == pid;
       ++it) {
    usage.context_switches += it->second;
  }
  return usage;
}

std::vector<ProcessUsage> ProcessMeter::ReadCounters() {
  std::vector<ProcessUsage> all;
  for (const pid_t pid : Pids()) {
    ProcessUsage usage = Read(pid);
    if (!usage.name.empty()) all.push_back(std::move(usage));
  }
  return all;
}

std::vector<ProcessUsage> ProcessMeter::ReadAll() {
  std::vector<ProcessUsage> all = ReadCounters();
  for (ProcessUsage& usage : all) {
    const std::string rollup = ReadText(FolderOf(usage.pid) / "smaps_rollup");
    usage.pss_bytes = NumberAfter(rollup, "Pss:") * 1024;
    usage.anonymous_bytes = NumberAfter(rollup, "Anonymous:") * 1024;
    usage.rss_bytes = NumberAfter(rollup, "Rss:") * 1024;
    usage.peak_rss_bytes = NumberAfter(ReadText(FolderOf(usage.pid) / "status"), "VmHWM:") * 1024;
  }
  return all;
}

void ProcessMeter::ResetPeaks() {
  for (const pid_t pid : Pids()) std::ofstream(FolderOf(pid) / "clear_refs") << "5";
}

std::vector<ProcessUsage> ProcessMeter::Difference(const std::vector<ProcessUsage>& before,
                                                   const std::vector<ProcessUsage>& after) {
  std::vector<ProcessUsage> difference = after;
  for (ProcessUsage& now : difference) {
    for (const ProcessUsage& then : before) {
      if (then.pid != now.pid) continue;
      now.cpu_ns -= then.cpu_ns;
      now.context_switches -= then.context_switches;
      now.disk_write_bytes -= then.disk_write_bytes;
    }
  }
  return difference;
}

}  // namespace jetd::bench
