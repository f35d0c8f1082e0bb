// SPDX-License-Identifier: Apache-2.0
#include "base/usage_record.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/random_id.h"
#include "base/stable_id.h"
#include "base/strings.h"
#include "base/write_all.h"
#include "nlohmann/json.hpp"

namespace jetd {
namespace {

using nlohmann::json;

constexpr int kFormat = 1;
constexpr int64_t kHourMs = 3'600'000;
constexpr char kMinutes[] = "minutes";
constexpr char kHours[] = "hours";
constexpr size_t kSumBytes = 16;

absl::Status Failed(const char* what, const std::string& path) {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, "cannot ", what, " ", path, ": ",
                    std::string_view(std::strerror(errno)));
}

std::string SumOf(std::string_view text) {
  return absl::StrCat(absl::Hex(StableId(text), absl::kZeroPad16));
}

std::string LineOf(const UsageSample& sample) {
  const json object = {{"v", kFormat},
                       {"bucket", sample.owner.bucket},
                       {"cluster", sample.owner.cluster_id},
                       {"member", sample.owner.member_id},
                       {"record", sample.record},
                       {"began", sample.began_ms},
                       {"n", sample.number},
                       {"t", sample.time_ms},
                       {"rpc", sample.all.requests},
                       {"in", sample.all.bytes_in},
                       {"out", sample.all.bytes_out},
                       {"cpu", sample.all.cpu_seconds},
                       {"watch", sample.all.watch_seconds}};
  const std::string text = object.dump(-1, ' ', false, json::error_handler_t::replace);
  return Cat(SumOf(text), " ", text, "\n");
}

template <typename T>
T NumberOf(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number() ? found->get<T>() : T{};
}

std::string TextOf(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// DataLoss: it is none. FailedPrecondition: a newer jetd's.
absl::StatusOr<UsageSample> SampleOf(std::string_view line) {
  const auto none = [] { return absl::DataLossError("no sample"); };
  if (line.size() <= kSumBytes || line[kSumBytes] != ' ') return none();
  const std::string_view text = line.substr(kSumBytes + 1);
  if (line.substr(0, kSumBytes) != SumOf(text)) return none();
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return none();
  if (NumberOf<int>(object, "v") != kFormat) {
    return absl::FailedPreconditionError("another version of jetd wrote it");
  }
  UsageSample sample{
      .owner = {TextOf(object, "bucket"), TextOf(object, "cluster"), TextOf(object, "member")},
      .record = TextOf(object, "record"),
      .began_ms = NumberOf<int64_t>(object, "began"),
      .number = NumberOf<uint64_t>(object, "n"),
      .time_ms = NumberOf<int64_t>(object, "t"),
      .all = {.requests = {},
              .bytes_in = NumberOf<uint64_t>(object, "in"),
              .bytes_out = NumberOf<uint64_t>(object, "out"),
              .cpu_seconds = NumberOf<double>(object, "cpu"),
              .watch_seconds = NumberOf<double>(object, "watch")}};
  const auto requests = object.find("rpc");
  if (requests == object.end() || !requests->is_object()) return none();
  for (const auto& [name, count] : requests->items()) {
    if (count.is_number_unsigned()) sample.all.requests[name] = count.get<uint64_t>();
  }
  return sample;
}

// Empty if it cannot be read: then there are no samples in it.
std::string TextOfFile(const std::string& path) {
  // By C's functions: a stream throws where the path is a folder.
  std::FILE* const file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) return {};
  std::string text;
  char buffer[16 << 10];
  for (size_t got = 0; (got = std::fread(buffer, 1, sizeof(buffer), file)) > 0;) {
    text.append(buffer, got);
  }
  std::fclose(file);
  return text;
}

std::vector<std::string_view> LinesOf(std::string_view text) {
  std::vector<std::string_view> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

// The newest sample of a file and its `.old`; nullopt: none. FailedPrecondition as SampleOf.
absl::StatusOr<std::optional<UsageSample>> NewestOf(const std::string& path, bool* there) {
  for (const char* suffix : {"", ".old"}) {
    const std::string text = TextOfFile(path + suffix);
    *there = *there || !text.empty();
    const std::vector<std::string_view> lines = LinesOf(text);
    for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
      auto sample = SampleOf(*line);
      if (sample.ok()) return *std::move(sample);
      if (absl::IsFailedPrecondition(sample.status())) return sample.status();
    }
  }
  return std::nullopt;
}

int OpenToAppend(const std::string& path) {
  return open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
}

}  // namespace

// ---- Counters -----------------------------------------------------------------------------------

void AddTo(const UsageCounters& more, UsageCounters* all) {
  for (const auto& [name, count] : more.requests) all->requests[name] += count;
  all->bytes_in += more.bytes_in;
  all->bytes_out += more.bytes_out;
  all->cpu_seconds += more.cpu_seconds;
  all->watch_seconds += more.watch_seconds;
}

UsageCounters Difference(const UsageCounters& all, const UsageCounters& earlier) {
  const auto less = [](auto now, auto before) { return now > before ? now - before : now - now; };
  UsageCounters passed;
  for (const auto& [name, count] : all.requests) {
    const auto before = earlier.requests.find(name);
    const uint64_t more = less(count, before == earlier.requests.end() ? 0 : before->second);
    if (more > 0) passed.requests[name] = more;
  }
  passed.bytes_in = less(all.bytes_in, earlier.bytes_in);
  passed.bytes_out = less(all.bytes_out, earlier.bytes_out);
  passed.cpu_seconds = less(all.cpu_seconds, earlier.cpu_seconds);
  passed.watch_seconds = less(all.watch_seconds, earlier.watch_seconds);
  return passed;
}

// ---- The record ---------------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<UsageRecord>> UsageRecord::Open(const std::string& root,
                                                               const UsageOwner& owner,
                                                               int64_t now_ms) {
  std::string folder = Cat(root, "/", owner.cluster_id, "-", owner.member_id);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    errno = error.value();
    return Failed("make the folder", folder);
  }
  const std::string lock_path = folder + "/lock";
  const int lock_fd = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_fd < 0) return Failed("open", lock_path);
  std::unique_ptr<UsageRecord> record(new UsageRecord(std::move(folder), lock_fd));
  if (flock(lock_fd, LOCK_EX | LOCK_NB) != 0) return Failed("lock", lock_path);
  if (absl::Status read = record->ReadNewest(); !read.ok()) return read;
  if (record->newest_.number == 0) {
    record->newest_.owner = owner;
    record->newest_.record = RandomId();
    record->newest_.began_ms = record->newest_.time_ms = now_ms;
  }
  return record;
}

UsageRecord::~UsageRecord() { close(lock_fd_); }

absl::Status UsageRecord::ReadNewest() {
  bool there = false;
  for (const char* name : {kMinutes, kHours}) {
    const std::string path = Cat(folder_, "/", name);
    const auto sample = NewestOf(path, &there);
    if (!sample.ok()) {
      return MakeStatus(sample.status().code(), path, ": ", MessageOf(sample.status()));
    }
    if (!sample->has_value()) continue;
    if (std::string_view(name) == kHours) hour_ = (*sample)->time_ms / kHourMs;
    if ((*sample)->number > newest_.number) newest_ = **sample;
  }
  lost_ = there && newest_.number == 0;
  return absl::OkStatus();
}

absl::Status UsageRecord::Append(int64_t now_ms, const UsageCounters& all) {
  UsageSample next = newest_;
  ++next.number;
  next.time_ms = now_ms;
  next.all = all;
  const std::string line = LineOf(next);
  absl::Status status = AppendTo(kMinutes, kMinutesBytes, line);
  if (!status.ok()) return status;
  newest_ = std::move(next);
  if (hour_ == now_ms / kHourMs) return status;
  status = AppendTo(kHours, kHoursBytes, line);
  if (status.ok()) hour_ = now_ms / kHourMs;
  return status;
}

absl::Status UsageRecord::AppendTo(const char* name, uint64_t max_bytes,
                                   const std::string& line) const {
  const std::string path = Cat(folder_, "/", name);
  int fd = OpenToAppend(path);
  if (fd < 0) return Failed("open", path);
  struct stat file {};
  if (fstat(fd, &file) == 0 && static_cast<uint64_t>(file.st_size) + line.size() > max_bytes) {
    close(fd);
    const std::string old = path + ".old";
    if (std::rename(path.c_str(), old.c_str()) != 0) return Failed("rename", path);
    fd = OpenToAppend(path);
    if (fd < 0) return Failed("open", path);
    file.st_size = 0;
  }
  // Behind a torn line.
  char last = '\n';
  if (file.st_size > 0 && pread(fd, &last, 1, file.st_size - 1) != 1) last = 0;
  const bool written = WriteAll(fd, last == '\n' ? line : "\n" + line);
  const absl::Status status = written ? absl::OkStatus() : Failed("write to", path);
  close(fd);
  return status;
}

// ---- Reading ------------------------------------------------------------------------------------

std::vector<UsageSample> ReadUsageSamples(const std::string& folder) {
  std::vector<UsageSample> samples;
  // The newest last: what is renamed meanwhile is read twice, and not missed.
  for (const char* name : {"minutes", "minutes.old", "hours", "hours.old"}) {
    const std::string text = TextOfFile(Cat(folder, "/", name));
    for (const std::string_view line : LinesOf(text)) {
      auto sample = SampleOf(line);
      if (sample.ok()) samples.push_back(*std::move(sample));
    }
  }
  const auto before = [](const auto& a, const auto& b) { return a.number < b.number; };
  const auto same = [](const auto& a, const auto& b) { return a.number == b.number; };
  std::sort(samples.begin(), samples.end(), before);
  samples.erase(std::unique(samples.begin(), samples.end(), same), samples.end());
  return samples;
}

std::vector<std::string> UsageFolders(const std::string& root) {
  std::vector<std::string> folders;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(root, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code gone;
    if (entry->is_directory(gone)) folders.push_back(entry->path().string());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

UsagePassed UsedSince(const std::vector<UsageSample>& samples, const UsageSample& now,
                      int64_t since_ms) {
  UsagePassed passed{.from_ms = since_ms, .used = {}};
  // Where the first is still there, all that came before it is known to be nothing.
  const bool whole = samples.empty() || samples.front().number == 1;
  const UsageSample beginning{.time_ms = now.began_ms};
  const UsageSample* before = whole ? &beginning : nullptr;
  const auto take = [&](const UsageSample& sample) {
    if (sample.record != now.record) return;
    if (before == nullptr || before == &beginning) {
      const int64_t kept_ms = before == nullptr ? sample.time_ms : now.began_ms;
      passed.from_ms = std::max(passed.from_ms, kept_ms);
    }
    if (before != nullptr && sample.time_ms > since_ms) {
      AddTo(Difference(sample.all, before->all), &passed.used);
    }
    before = &sample;
  };
  for (const UsageSample& sample : samples) {
    if (sample.number <= now.number) take(sample);
  }
  take(now);
  return passed;
}

}  // namespace jetd
