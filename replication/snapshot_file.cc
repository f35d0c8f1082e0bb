// SPDX-License-Identifier: Apache-2.0
#include "replication/snapshot_file.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/bolt/reader.h"
#include "base/check.h"
#include "base/etcdpb/kv.pb.h"
#include "base/etcdpb/lease.pb.h"
#include "base/strings.h"

namespace jetd::replication {
namespace {

using revision::KvBlock;
using revision::KvRef;

// etcd's file is a multiple of this long, and the sum comes behind it.
constexpr size_t kFileUnit = 512;
constexpr size_t kSumSize = 32;
constexpr size_t kRevisionSize = 17;
constexpr size_t kMaxKeyBytes = 16UL << 20;  // of a KvBlock

template <typename... Pieces>
absl::Status Wrong(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, pieces...);
}

// How etcd gives up a sum: over all that comes before it.
absl::Status CheckSum(std::string_view file) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  const std::string_view data = file.substr(0, file.size() - kSumSize);
  JETD_CHECK(EVP_Digest(data.data(), data.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1)
      << "no SHA-256";
  const std::string_view ours(reinterpret_cast<const char*>(digest.data()), size);
  if (ours == file.substr(data.size())) return absl::OkStatus();
  return Wrong("its SHA-256 is not the one at its end: it is damaged, or cut short");
}

uint64_t BigEndian(std::string_view bytes) {
  uint64_t number = 0;
  for (const char byte : bytes) number = number << 8 | static_cast<unsigned char>(byte);
  return number;
}

// "main_sub" as etcd's key bytes have it; nothing for what is none.
std::optional<revision::ModRevision> ParseRevision(std::string_view bytes) {
  if (bytes.size() < kRevisionSize || bytes[8] != '_') return std::nullopt;
  const uint64_t main = BigEndian(bytes.substr(0, 8));
  const uint64_t sub = BigEndian(bytes.substr(9, 8));
  if (main == 0 || main > std::numeric_limits<int64_t>::max() / 2 || sub > (1U << 30)) {
    return std::nullopt;
  }
  return revision::ModRevision{Revision(static_cast<int64_t>(main)), static_cast<uint32_t>(sub)};
}

class Parser {
 public:
  explicit Parser(const bolt::Reader* reader) : reader_(reader) {}

  absl::StatusOr<SnapshotContents> Run() {
    absl::Status status = reader_->ForEach(
        "key", [this](std::string_view key, std::string_view value) { return OnKey(key, value); });
    if (!status.ok()) return status;
    status = OnBucket("lease", [this](std::string_view key, std::string_view value) {
      return OnLease(key, value);
    });
    if (!status.ok()) return status;
    status = OnBucket("meta", [this](std::string_view key, std::string_view value) {
      return OnMeta(key, value);
    });
    if (!status.ok()) return status;
    status = OnBucket("auth", [this](std::string_view key, std::string_view value) {
      if (key == "authEnabled") contents_.has_users = value == std::string_view("\1", 1);
      return absl::OkStatus();
    });
    if (!status.ok()) return status;
    BucketState& state = contents_.state;
    state.keys.reserve(newest_.size());
    for (auto& [key, kv] : newest_) state.keys.push_back(std::move(kv));
    state.newest = state.revision;
    return std::move(contents_);
  }

 private:
  absl::Status OnBucket(std::string_view bucket, bolt::Reader::ItemFn fn) {
    absl::Status status = reader_->ForEach(bucket, fn);
    return absl::IsNotFound(status) ? absl::OkStatus() : status;
  }

  absl::Status OnKey(std::string_view name, std::string_view value) {
    ++contents_.versions;
    const auto mod = ParseRevision(name);
    const bool tombstone = name.size() == kRevisionSize + 1 && name.back() == 't';
    if (!mod.has_value() || (name.size() != kRevisionSize && !tombstone)) {
      return Wrong("it has a revision 0x", HexOf(name.substr(0, 32)), ", which is none");
    }
    mvccpb::KeyValue kv;
    if (!kv.ParseFromArray(value.data(), static_cast<int>(value.size())) || kv.key().empty() ||
        kv.key().size() >= kMaxKeyBytes) {
      return Wrong("its record of revision ", mod->main.value(), " cannot be read");
    }
    contents_.state.revision = std::max(contents_.state.revision, mod->main);
    if (tombstone) {
      newest_.erase(kv.key());
      return absl::OkStatus();
    }
    newest_[kv.key()] = KvBlock::Make({.key = kv.key(),
                                       .value = kv.value(),
                                       .mod = *mod,
                                       .create_revision = Revision(kv.create_revision()),
                                       .version = kv.version(),
                                       .lease = LeaseId(kv.lease())});
    return absl::OkStatus();
  }

  absl::Status OnLease(std::string_view /*name*/, std::string_view value) {
    leasepb::Lease lease;
    if (!lease.ParseFromArray(value.data(), static_cast<int>(value.size())) || lease.id() == 0) {
      return Wrong("one of its leases cannot be read");
    }
    contents_.state.leases.push_back({LeaseId(lease.id()), lease.ttl()});
    return absl::OkStatus();
  }

  // A store that was compacted may have lost the records of its newest revisions.
  absl::Status OnMeta(std::string_view name, std::string_view value) {
    if (name != "finishedCompactRev" && name != "scheduledCompactRev") return absl::OkStatus();
    const auto compacted = ParseRevision(value);
    if (compacted.has_value()) {
      contents_.state.revision = std::max(contents_.state.revision, compacted->main);
    }
    return absl::OkStatus();
  }

  const bolt::Reader* const reader_;
  SnapshotContents contents_;
  absl::flat_hash_map<std::string, KvRef> newest_;
};

// A file's bytes as long as this lives.
class Mapping {
 public:
  static absl::StatusOr<Mapping> Of(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
      const auto code =
          errno == ENOENT ? absl::StatusCode::kNotFound : absl::StatusCode::kFailedPrecondition;
      return MakeStatus(code, "cannot open ", path, ": ", std::strerror(errno));
    }
    struct stat facts {};
    void* bytes = nullptr;
    const bool known = fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode);
    const auto size = static_cast<size_t>(facts.st_size);
    if (known && size > 0) bytes = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (!known || bytes == MAP_FAILED) {
      return MakeStatus(absl::StatusCode::kFailedPrecondition, path, " is no file to be read");
    }
    return Mapping(bytes, size);
  }
  ~Mapping() {
    if (bytes_ != nullptr) munmap(bytes_, size_);
  }
  Mapping(Mapping&& other) noexcept
      : bytes_(std::exchange(other.bytes_, nullptr)), size_(other.size_) {}
  Mapping& operator=(Mapping&&) = delete;

  [[nodiscard]] std::string_view bytes() const {
    return {static_cast<const char*>(bytes_), bytes_ == nullptr ? 0 : size_};
  }

 private:
  Mapping(void* bytes, size_t size) : bytes_(bytes), size_(size) {}
  void* bytes_;
  size_t size_;
};

}  // namespace

absl::StatusOr<SnapshotContents> ParseSnapshot(std::string_view file, SnapshotSum sum) {
  const bool summed = file.size() % kFileUnit == kSumSize;
  if (sum == SnapshotSum::kRequired && !summed) {
    return Wrong(
        "it has no SHA-256 at its end, as a snapshot has; if it is a copy of the database "
        "of an etcd that was stopped, give --skip-hash-check");
  }
  if (sum == SnapshotSum::kRequired) {
    if (absl::Status status = CheckSum(file); !status.ok()) return status;
  }
  const auto reader = bolt::Reader::Open(summed ? file.substr(0, file.size() - kSumSize) : file);
  if (!reader.ok()) return reader.status();
  auto contents = Parser(&*reader).Run();
  if (absl::IsNotFound(contents.status())) {
    return Wrong("it is no store of etcd: ", MessageOf(contents.status()));
  }
  return contents;
}

absl::StatusOr<SnapshotContents> ReadSnapshot(const std::string& path, SnapshotSum sum) {
  const auto mapping = Mapping::Of(path);
  if (!mapping.ok()) return mapping.status();
  auto contents = ParseSnapshot(mapping->bytes(), sum);
  if (contents.ok()) return contents;
  return MakeStatus(contents.status().code(), path, ": ", MessageOf(contents.status()));
}

}  // namespace jetd::replication
