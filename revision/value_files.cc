// SPDX-License-Identifier: Apache-2.0
#include "revision/value_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "revision/crc32c.h"

namespace jetd::revision {
namespace {

constexpr char kSuffix[] = ".values";
constexpr size_t kLargestSegment = 1UL << 30;
constexpr size_t kMostSegments = 32;

struct Head {
  uint32_t mark = 0x4c41564a;
  uint32_t size = 0;
  uint32_t crc = 0;
  uint32_t sub = 0;
  int64_t main = 0;
};
static_assert(sizeof(Head) == ValueFiles::kHeadBytes);

// The key of an encoded mvccpb.KeyValue, which is its first field.
// Empty if there is none, or if the encoding is damaged.
std::string_view KeyOf(std::string_view encoded) {
  if (encoded.empty() || encoded[0] != '\x0a') return {};
  size_t size = 0;
  unsigned shift = 0;
  for (size_t at = 1; at < encoded.size() && shift < 32; shift += 7) {
    const auto byte = static_cast<unsigned char>(encoded[at++]);
    size |= static_cast<size_t>(byte & 0x7fU) << shift;
    if (byte < 0x80) return size <= encoded.size() - at ? encoded.substr(at, size) : "";
  }
  return {};
}

template <typename... Pieces>
absl::Status CannotUse(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, pieces...);
}

absl::Status RemoveSegments(const std::string& folder, const std::vector<std::string>& but = {}) {
  std::error_code error;
  std::vector<std::filesystem::path> found;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().extension() != kSuffix) continue;
    if (std::find(but.begin(), but.end(), it->path()) == but.end()) found.push_back(it->path());
  }
  for (const auto& path : found) {
    if (!error) std::filesystem::remove(path, error);
  }
  if (error) return CannotUse("cannot empty ", folder, ": ", error.message());
  return absl::OkStatus();
}

}  // namespace

ValueFiles::ValueFiles(Options options, int lock_fd)
    : options_(std::move(options)), lock_fd_(lock_fd) {}

bool SyncFolder(const std::string& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool synced = fsync(fd) == 0;
  const int why = errno;
  close(fd);
  errno = why;
  return synced;
}

absl::StatusOr<std::unique_ptr<ValueFiles>> ValueFiles::Open(Options options) {
  const std::string& folder = options.folder;
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return CannotUse("cannot make ", folder, ": ", std::strerror(errno));
  }
  const std::string lock = Cat(folder, "/lock");
  const int fd = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return CannotUse("cannot open ", lock, ": ", std::strerror(errno));
  absl::Status status;
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    status = CannotUse("cannot lock ", lock, ": ",
                       errno == EWOULDBLOCK ? "another process uses it" : std::strerror(errno));
  } else if (!options.keep) {
    status = RemoveSegments(folder);
  }
  if (!status.ok()) {
    close(fd);
    return status;
  }
  return std::unique_ptr<ValueFiles>(new ValueFiles(std::move(options), fd));
}

ValueFiles::~ValueFiles() {
  if (saved_) {
    for (const auto& [number, segment] : segments_) {
      Unmap(segment);
      close(segment.fd);
    }
  } else if (!segments_.empty()) {
    // If not, nobody came to adopt what Open kept, and the next one may.
    Clear();
  }
  close(lock_fd_);
}

void ValueFiles::Clear() {
  ++generation_;
  while (!segments_.empty()) Remove(segments_.begin()->first);
  if (absl::Status status = RemoveSegments(options_.folder); !status.ok()) {
    log::Warn("{}", MessageOf(status));
  }
  buffer_.clear();
  cleared_ = std::max(cleared_, std::exchange(current_, 0));
  written_ = 0;
}

std::string ValueFiles::PathOf(uint32_t segment) const {
  char name[16];
  std::snprintf(name, sizeof(name), "%08x", segment);
  return Cat(options_.folder, "/", name, kSuffix);
}

void ValueFiles::Fail(const char* what, uint32_t segment) {
  const int why = errno;
  skipped_ = 0;
  if (std::exchange(failing_, true)) return;
  log::Warn("values stay in memory, beyond --value-cache-bytes: cannot {} {}: {}", what,
            PathOf(segment), std::strerror(why));
}

// --- writing ------------------------------------------------------------------------------------

std::optional<ValueLocation> ValueFiles::Append(ModRevision mod, std::string_view encoded) {
  if (failing_ && ++skipped_ < kRetryEvery) return std::nullopt;
  if (!Reserve(kHeadBytes + encoded.size())) return std::nullopt;
  if (std::exchange(failing_, false)) {
    log::Info("values beyond --value-cache-bytes go to {} again", options_.folder);
  }
  if (until_unmap_ > 0 && --until_unmap_ == 0) {
    for (const auto& [number, segment] : segments_) Unmap(segment);
  }
  Segment& segment = segments_.at(current_);
  Head head;
  head.size = static_cast<uint32_t>(encoded.size());
  head.crc = ExtendCrc32c(0, encoded);
  head.sub = mod.sub;
  head.main = mod.main.value();
  buffer_.append(reinterpret_cast<const char*>(&head), sizeof(head));
  buffer_.append(encoded);
  const ValueLocation location{.segment = current_,
                               .offset = static_cast<uint32_t>(segment.size + sizeof(head)),
                               .size = head.size,
                               .crc = head.crc};
  const size_t bytes = sizeof(head) + encoded.size();
  segment.size += bytes;
  segment.live += bytes;
  stats_.file_bytes += bytes;
  stats_.live_bytes += bytes;
  return location;
}

bool ValueFiles::Reserve(size_t bytes) {
  const size_t limit =
      std::clamp(stats_.file_bytes / kMostSegments, options_.segment_bytes, kLargestSegment);
  const size_t size = current_ == 0 ? 0 : segments_.at(current_).size;
  if (current_ == 0 || (size > 0 && size + bytes > limit)) return NewSegment();
  return buffer_.size() + bytes <= options_.buffer_bytes || Flush();
}

bool ValueFiles::NewSegment() {
  if (!Flush()) return false;
  const uint32_t next = std::max(current_, cleared_) + 1;
  const int fd = open(PathOf(next).c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) {
    Fail("make", next);
    return false;
  }
  const uint32_t closed = std::exchange(current_, next);
  if (closed != 0 && segments_.at(closed).live == 0) Retire(closed);
  segments_[next].fd = fd;
  stats_.segments = segments_.size();
  written_ = 0;
  return true;
}

bool ValueFiles::Flush() {
  if (buffer_.empty()) return true;
  const int fd = segments_.at(current_).fd;
  size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t n = pwrite(fd, buffer_.data() + done, buffer_.size() - done,
                             static_cast<off_t>(written_ + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      // What is in the buffer stays there, to be read and written again.
      Fail("write to", current_);
      return false;
    }
    done += static_cast<size_t>(n);
  }
  written_ += done;
  buffer_.clear();
  if (buffer_.capacity() > 2 * options_.buffer_bytes) buffer_.shrink_to_fit();
  return true;
}

void ValueFiles::Drop(const ValueLocation& location) {
  const auto it = segments_.find(location.segment);
  const size_t bytes = kHeadBytes + location.size;
  JETD_CHECK(it != segments_.end() && it->second.live >= bytes)
      << "a record of " << location.size << " bytes was not in use in segment " << location.segment;
  it->second.live -= bytes;
  stats_.live_bytes -= bytes;
  if (it->second.live == 0 && location.segment != current_) Retire(location.segment);
}

void ValueFiles::Retire(uint32_t segment) {
  if (pins_ == 0) Remove(segment);
}

void ValueFiles::Unpin() {
  JETD_CHECK(pins_ > 0) << "nothing is pinned";
  if (--pins_ > 0) return;
  std::vector<uint32_t> unused;
  for (const auto& [number, segment] : segments_) {
    if (segment.live == 0 && number != current_) unused.push_back(number);
  }
  for (const uint32_t number : unused) Remove(number);
}

void ValueFiles::Remove(uint32_t segment) {
  const auto it = segments_.find(segment);
  Unmap(it->second);
  close(it->second.fd);
  unlink(PathOf(segment).c_str());
  stats_.file_bytes -= it->second.size;
  stats_.live_bytes -= it->second.live;
  segments_.erase(it);
  stats_.segments = segments_.size();
}

// --- from one process to the next ---------------------------------------------------------------

absl::StatusOr<std::vector<ValueFiles::SegmentSize>> ValueFiles::Save() {
  std::vector<SegmentSize> all;
  if (segments_.size() > options_.most_saved) {
    return CannotUse("there are ", segments_.size(), " value files");
  }
  bool synced = Flush();
  for (const auto& [number, segment] : segments_) {
    synced = synced && fsync(segment.fd) == 0;
    all.push_back({number, segment.size});
  }
  std::sort(all.begin(), all.end(),
            [](const SegmentSize& a, const SegmentSize& b) { return a.number < b.number; });
  if (!synced || !SyncFolder(options_.folder)) {
    return CannotUse("cannot sync ", options_.folder, ": ", std::strerror(errno));
  }
  saved_ = true;
  return all;
}

absl::Status ValueFiles::Adopt(const std::vector<SegmentSize>& segments) {
  JETD_CHECK(segments_.empty()) << "segments are there already";
  std::vector<std::string> kept;
  for (const SegmentSize& segment : segments) {
    kept.push_back(PathOf(segment.number));
    const int fd = open(kept.back().c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) return CannotUse("cannot open ", kept.back(), ": ", std::strerror(errno));
    if (segments_.contains(segment.number)) {
      close(fd);
      return CannotUse(kept.back(), " is named twice");
    }
    segments_[segment.number] = {.fd = fd, .size = segment.size};
    stats_.file_bytes += segment.size;
    stats_.segments = segments_.size();
    cleared_ = std::max(cleared_, segment.number);
    struct stat file {};
    if (fstat(fd, &file) != 0 || static_cast<uint64_t>(file.st_size) < segment.size) {
      return CannotUse(kept.back(), " is too short");
    }
  }
  return RemoveSegments(options_.folder, kept);
}

bool ValueFiles::Use(const ValueLocation& location) {
  const auto it = segments_.find(location.segment);
  if (it == segments_.end() || location.offset < kHeadBytes ||
      uint64_t{location.offset} + location.size > it->second.size) {
    return false;
  }
  it->second.live += kHeadBytes + location.size;
  stats_.live_bytes += kHeadBytes + location.size;
  return true;
}

void ValueFiles::RemoveUnused() {
  std::vector<uint32_t> unused;
  for (const auto& [number, segment] : segments_) {
    if (segment.live == 0) unused.push_back(number);
  }
  for (const uint32_t number : unused) Remove(number);
}

// --- reading ------------------------------------------------------------------------------------

void ValueFiles::ReadBytes(uint32_t segment, size_t offset, size_t size, char* out) const {
  const auto it = segments_.find(segment);
  JETD_CHECK(it != segments_.end() && offset + size <= it->second.size)
      << "segment " << segment << " has no " << size << " bytes at " << offset;
  if (segment == current_ && offset >= written_) {
    std::memcpy(out, buffer_.data() + (offset - written_), size);
    return;
  }
  size_t done = 0;
  while (done < size) {
    const ssize_t n =
        pread(it->second.fd, out + done, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    JETD_CHECK(n > 0) << "cannot read " << size << " bytes at " << offset << " of "
                      << PathOf(segment) << ": " << (n == 0 ? "it ends" : std::strerror(errno));
    done += static_cast<size_t>(n);
  }
}

const char* ValueFiles::Map(const Segment& segment) {
  if (segment.map == nullptr) {
    void* const map = mmap(nullptr, segment.size, PROT_READ, MAP_SHARED, segment.fd, 0);
    if (map == MAP_FAILED) return nullptr;
    segment.map = static_cast<const char*>(map);
    segment.mapped = segment.size;
  }
  return segment.map;
}

void ValueFiles::Unmap(const Segment& segment) {
  if (segment.map == nullptr) return;
  munmap(const_cast<char*>(segment.map), segment.mapped);
  segment.map = nullptr;
}

KvRef ValueFiles::Load(const KvBlock& cold, How how) const {
  char* encoding = nullptr;
  KvRef hot = KvBlock::MakeHot(cold, &encoding);
  Read(cold.location(), encoding, how);
  return hot;
}

void ValueFiles::Read(const ValueLocation& location, char* out, How how) const {
  const char* map = nullptr;
  if (how == How::kMany && location.segment != current_) {
    const auto it = segments_.find(location.segment);
    JETD_CHECK(it != segments_.end() &&
               uint64_t{location.offset} + location.size <= it->second.size)
        << "segment " << location.segment << " has no such record";
    map = Map(it->second);
    until_unmap_ = kUnmapAfter;
  }
  if (map != nullptr) {
    std::memcpy(out, map + location.offset, location.size);
  } else {
    ReadBytes(location.segment, location.offset, location.size, out);
  }
  JETD_CHECK(ExtendCrc32c(0, {out, location.size}) == location.crc)
      << "the value at " << location.offset << " of " << PathOf(location.segment)
      << " is not what was written; jetd reads it from the stream when it is started again";
}

std::optional<uint32_t> ValueFiles::MostlyWaste() const {
  if (stats_.file_bytes <= 2 * stats_.live_bytes + 4 * options_.segment_bytes) return std::nullopt;
  std::optional<uint32_t> most;
  double share = 1;
  for (const auto& [number, segment] : segments_) {
    if (number == current_) continue;
    const double used = static_cast<double>(segment.live) / static_cast<double>(segment.size);
    if (used < share) {
      share = used;
      most = number;
    }
  }
  return most;
}

bool ValueFiles::Scan(uint32_t segment, uint32_t* offset, size_t max_bytes,
                      absl::FunctionRef<bool(const Record&)> fn) const {
  const size_t end = segments_.at(segment).size;
  std::string bytes;
  size_t begin = *offset;  // of `bytes` in the segment
  const auto fill = [&](size_t size) {
    begin = *offset;
    bytes.resize(std::min(size, end - begin));
    ReadBytes(segment, begin, bytes.size(), bytes.data());
  };
  fill(std::max(max_bytes, kHeadBytes));
  const size_t last = begin + max_bytes;
  for (bool first = true; *offset < end && (first || *offset < last); first = false) {
    if (begin + bytes.size() - *offset < kHeadBytes) break;
    Head head;
    std::memcpy(&head, bytes.data() + (*offset - begin), sizeof(head));
    const size_t size = sizeof(head) + head.size;
    JETD_CHECK(head.mark == Head{}.mark && *offset + size <= end)
        << PathOf(segment) << " has no record at " << *offset;
    if (*offset + size > begin + bytes.size()) {
      if (!first) break;
      fill(size);
    }
    const std::string_view encoded(bytes.data() + (*offset - begin) + sizeof(head), head.size);
    const Record record{.mod = {Revision(head.main), head.sub},
                        .key = KeyOf(encoded),
                        .encoded = encoded,
                        .location = {.segment = segment,
                                     .offset = static_cast<uint32_t>(*offset + sizeof(head)),
                                     .size = head.size,
                                     .crc = head.crc}};
    if (!fn(record)) return false;
    *offset += static_cast<uint32_t>(size);
    // What fn dropped may have been the last in use.
    if (!Has(segment)) return true;
  }
  return *offset >= end;
}

}  // namespace jetd::revision
