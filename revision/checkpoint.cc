// SPDX-License-Identifier: Apache-2.0
#include "revision/checkpoint.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "base/write_all.h"
#include "revision/crc32c.h"
#include "revision/value_files.h"

namespace jetd::revision {
namespace {

constexpr std::string_view kMark = "JETDCP02";
constexpr size_t kFrameHead = 8;
constexpr size_t kFrameBytes = 256UL << 10;

template <typename... Pieces>
absl::Status Odd(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kDataLoss, pieces...);
}

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

// --- the head -----------------------------------------------------------------------------------

// Every field as 8 bytes, lists and texts behind their length.
class Out {
 public:
  void operator()(uint64_t v) { bytes_.append(reinterpret_cast<const char*>(&v), sizeof(v)); }
  void operator()(const std::string& text) {
    (*this)(text.size());
    bytes_.append(text);
  }
  template <typename Tag, typename Rep>
  void operator()(StrongInt<Tag, Rep> v) {
    (*this)(static_cast<uint64_t>(v.value()));
  }
  template <typename T, typename Fn>
  void List(const T& items, const Fn& each) {
    (*this)(items.size());
    for (const auto& item : items) each(item);
  }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// After the end every number is 0 and every list empty; ok() says so.
class In {
 public:
  explicit In(std::string_view bytes) : bytes_(bytes) {}
  uint64_t Number() {
    uint64_t v = 0;
    if (bytes_.size() < sizeof(v)) {
      ok_ = false;
      bytes_ = {};
      return 0;
    }
    std::memcpy(&v, bytes_.data(), sizeof(v));
    bytes_.remove_prefix(sizeof(v));
    return v;
  }
  std::string Text() {
    const uint64_t size = Number();
    if (size > bytes_.size()) {
      ok_ = false;
      return {};
    }
    std::string text(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
    return text;
  }
  template <typename T>
  T As() {
    return T(static_cast<typename T::rep>(Number()));
  }
  template <typename Fn>
  void List(const Fn& each) {
    for (uint64_t n = Number(); n > 0 && ok_; --n) each();
  }
  [[nodiscard]] bool ok() const { return ok_ && bytes_.empty(); }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

std::string EncodeHead(const CheckpointHead& head) {
  Out out;
  const auto seqs = [&out](const std::vector<StreamSeq>& list) {
    out.List(list, [&out](StreamSeq seq) { out(seq); });
  };
  out(head.bucket);
  out(static_cast<uint64_t>(head.created_ns));
  out(head.seq);
  out(head.term);
  out(head.incarnation);
  out(head.term_seq);
  out(head.revision);
  out(head.compacted);
  out.List(head.leases, [&out](const Store::LeaseInfo& lease) {
    out(lease.id);
    out(static_cast<uint64_t>(lease.ttl_s));
  });
  out.List(head.alarms, [&out](const jetstream::Alarm& alarm) {
    out(static_cast<uint64_t>(alarm.type));
    out(alarm.member_id);
  });
  const SystemRecords& system = head.system;
  out.List(system.leases, [&out](const auto& lease) {
    out(lease.first);
    out(lease.second);
  });
  out.List(system.gone_leases, [&out](const SystemRecords::GoneLease& lease) {
    out(lease.revision);
    out(lease.grant);
    out(lease.gone);
  });
  out(system.compact);
  out(system.term);
  out(system.alarm);
  for (const auto* list :
       {&system.live, &system.superseded, &head.hidden, &head.markers, &head.last_markers}) {
    seqs(*list);
  }
  out.List(head.segments, [&out](const ValueFiles::SegmentSize& segment) {
    out(segment.number);
    out(segment.size);
  });
  return out.bytes();
}

bool DecodeHead(std::string_view bytes, CheckpointHead* head) {
  In in(bytes);
  head->bucket = in.Text();
  head->created_ns = static_cast<int64_t>(in.Number());
  head->seq = in.As<StreamSeq>();
  head->term = in.As<Term>();
  head->incarnation = in.Text();
  head->term_seq = in.As<StreamSeq>();
  head->revision = in.As<Revision>();
  head->compacted = in.As<Revision>();
  in.List([&] {
    const auto id = in.As<LeaseId>();
    head->leases.push_back({id, static_cast<int64_t>(in.Number())});
  });
  in.List([&] {
    const auto type = static_cast<jetstream::AlarmType>(in.Number());
    head->alarms.push_back({type, in.Number()});
  });
  SystemRecords& system = head->system;
  in.List([&] {
    const auto id = in.As<LeaseId>();
    system.leases[id] = in.As<StreamSeq>();
  });
  in.List([&] {
    SystemRecords::GoneLease& lease = system.gone_leases.emplace_back();
    lease.revision = in.As<Revision>();
    lease.grant = in.As<StreamSeq>();
    lease.gone = in.As<StreamSeq>();
  });
  system.compact = in.As<StreamSeq>();
  system.term = in.As<StreamSeq>();
  system.alarm = in.As<StreamSeq>();
  for (auto* list :
       {&system.live, &system.superseded, &head->hidden, &head->markers, &head->last_markers}) {
    in.List([&] { list->push_back(in.As<StreamSeq>()); });
  }
  in.List([&] {
    const auto number = static_cast<uint32_t>(in.Number());
    head->segments.push_back({number, in.Number()});
  });
  return in.ok();
}

// --- the file -----------------------------------------------------------------------------------

class FrameWriter {
 public:
  explicit FrameWriter(int fd) : fd_(fd) {}
  void Raw(std::string_view bytes) { ok_ = ok_ && WriteAll(fd_, bytes); }
  void Frame(std::string_view bytes) {
    crc_ = ExtendCrc32c(crc_, bytes);
    const uint32_t head[2] = {static_cast<uint32_t>(bytes.size()), crc_};
    Raw({reinterpret_cast<const char*>(head), sizeof(head)});
    Raw(bytes);
  }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  const int fd_;
  uint32_t crc_ = 0;
  bool ok_ = true;
};

// Where the disk has lost a part of the file, reading it through the mapping would end the process,
// at this start and at each to come.
bool CanBeRead(int fd) {
  std::vector<char> buffer(1UL << 20);
  ssize_t got = 0;
  for (off_t at = 0; (got = pread(fd, buffer.data(), buffer.size(), at)) > 0;) at += got;
  return got == 0;
}

}  // namespace

absl::Status WriteCheckpoint(const std::string& path, const CheckpointHead& head,
                             const Store& store) {
  const std::string unfinished = Cat(path, ".new");
  const int fd = open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return Odd("cannot write ", unfinished, ": ", std::strerror(errno));
  FrameWriter out(fd);
  out.Raw(kMark);
  out.Frame(EncodeHead(head));
  std::string versions;
  uint64_t count = 0;
  store.VisitBlocks([&](const KvBlock& block) {
    block.AppendTo(&versions);
    ++count;
    if (versions.size() < kFrameBytes || !out.ok()) return;
    out.Frame(versions);
    versions.clear();
  });
  if (!versions.empty()) out.Frame(versions);
  out.Frame({reinterpret_cast<const char*>(&count), sizeof(count)});
  const bool synced = out.ok() && fsync(fd) == 0;
  const int why = errno;
  close(fd);
  if (!synced || rename(unfinished.c_str(), path.c_str()) != 0 || !SyncFolder(FolderOf(path))) {
    absl::Status status = Odd("cannot write ", path, ": ", std::strerror(synced ? errno : why));
    unlink(unfinished.c_str());
    unlink(path.c_str());
    return status;
  }
  return absl::OkStatus();
}

bool RemoveCheckpoint(const std::string& path) {
  unlink(Cat(path, ".new").c_str());
  if (unlink(path.c_str()) != 0) return errno == ENOENT;
  return SyncFolder(FolderOf(path));
}

absl::StatusOr<std::unique_ptr<Checkpoint>> Checkpoint::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return MakeStatus(errno == ENOENT ? absl::StatusCode::kNotFound : absl::StatusCode::kDataLoss,
                      "cannot open ", path, ": ", std::strerror(errno));
  }
  std::unique_ptr<Checkpoint> checkpoint(new Checkpoint);
  struct stat file {};
  void* mapped = MAP_FAILED;
  if (fstat(fd, &file) == 0 && file.st_size > 0 && CanBeRead(fd)) {
    checkpoint->size_ = static_cast<size_t>(file.st_size);
    mapped = mmap(nullptr, checkpoint->size_, PROT_READ, MAP_PRIVATE, fd, 0);
  }
  const int why = errno;
  close(fd);
  if (mapped == MAP_FAILED) return Odd("cannot read ", path, ": ", std::strerror(why));
  checkpoint->data_ = static_cast<const char*>(mapped);
  if (absl::Status status = checkpoint->Check(); !status.ok()) return status;
  return checkpoint;
}

Checkpoint::~Checkpoint() {
  if (data_ != nullptr) munmap(const_cast<char*>(data_), size_);
}

absl::Status Checkpoint::Check() {
  std::string_view rest(data_, size_);
  if (!rest.starts_with(kMark)) return Odd("it is of another format");
  rest.remove_prefix(kMark.size());
  uint32_t crc = 0;
  while (!rest.empty()) {
    uint32_t head[2] = {0, 0};
    if (rest.size() < kFrameHead) return Odd("it ends in the middle");
    std::memcpy(head, rest.data(), sizeof(head));
    rest.remove_prefix(kFrameHead);
    if (rest.size() < head[0]) return Odd("it ends in the middle");
    frames_.push_back(rest.substr(0, head[0]));
    crc = ExtendCrc32c(crc, frames_.back());
    if (crc != head[1]) return Odd("its check sum is wrong");
    rest.remove_prefix(head[0]);
  }
  uint64_t count = 0;
  if (frames_.size() < 2 || frames_.back().size() != sizeof(count)) {
    return Odd("it ends in the middle");
  }
  if (!DecodeHead(frames_.front(), &head_)) return Odd("its head cannot be read");
  return absl::OkStatus();
}

absl::Status Checkpoint::Load(Store* store) const {
  uint64_t count = 0;
  std::memcpy(&count, frames_.back().data(), sizeof(count));
  for (const Store::LeaseInfo& lease : head_.leases) store->RestoreLease(lease.id, lease.ttl_s);
  if (auto status = store->AdoptSegments(head_.segments); !status.ok()) return status;
  for (size_t i = 1; i + 1 < frames_.size(); ++i) {
    if (auto status = store->LoadBlocks(frames_[i]); !status.ok()) return status;
  }
  if (store->stats().versions != count) return Odd("versions are missing");
  return store->FinishLoad(head_.revision, head_.compacted);
}

}  // namespace jetd::revision
