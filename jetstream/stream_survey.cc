// SPDX-License-Identifier: Apache-2.0
#include "jetstream/stream_survey.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/strings.h"
#include "jetstream/block_files.h"
#include "jetstream/stream_block.h"

namespace jetd::jetstream {
namespace {

// nats-server begins a new block at 8 MiB at the latest, before a record that may be as large.
constexpr size_t kMaxBlockBytes = 64UL << 20;

template <typename... Pieces>
absl::Status Odd(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kDataLoss, pieces...);
}

class File {
 public:
  explicit File(const std::string& path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // All zero if it cannot be told.
  [[nodiscard]] BlockLook::Stamp stamp() const {
    struct stat info {};
    if (fd_ < 0 || fstat(fd_, &info) != 0) return {};
    return {.inode = info.st_ino,
            .bytes = static_cast<size_t>(info.st_size),
            .changed_ns = info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec};
  }
  // False if it has not so many bytes, or cannot be read.
  [[nodiscard]] bool Read(char* out, size_t size) const {
    for (size_t done = 0; done < size;) {
      const ssize_t got = pread(fd_, out + done, size - done, static_cast<off_t>(done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      done += static_cast<size_t>(got);
    }
    return true;
  }

 private:
  const int fd_;
};

std::string PathOf(const StreamPlace& place, uint64_t block) {
  return Cat(place.folder, "/msgs/", block, ".blk");
}

// The first `size` bytes, into loaded->bytes.
absl::Status ReadBytes(const File& file, uint64_t block, size_t size, LoadedBlock* loaded) {
  if (size > kMaxBlockBytes) return Odd("block ", block, " has ", size, " bytes");
  if (size > loaded->capacity) {
    loaded->bytes.reset(new char[size]);
    loaded->capacity = size;
  }
  if (file.Read(loaded->bytes.get(), size)) return absl::OkStatus();
  return Odd("the ", size, " bytes of block ", block, " cannot be read");
}

uint64_t AddToDigest(uint64_t digest, uint64_t checksum) {
  return (digest ^ checksum) * 0x9e3779b97f4a7c15U + 1;
}

absl::Status BadAt(uint64_t block, size_t offset) {
  return Odd("block ", block, " at offset ", offset, ": no record that its checksum confirms");
}

// Records that tell how to read others are of this kind, and few.
bool IsControl(std::string_view prefix, std::string_view stored) {
  constexpr std::string_view kOwn = "_jetd.";
  constexpr std::string_view kLease = "_jetd.lease.";
  if (stored.substr(0, prefix.size()) != prefix) return false;
  const std::string_view rest = stored.substr(prefix.size());
  return rest.substr(0, kOwn.size()) == kOwn && rest.substr(0, kLease.size()) != kLease;
}

// `memory` is used for the bytes.
absl::StatusOr<std::unique_ptr<BlockLook>> LookThrough(const StreamPlace& place, uint64_t number,
                                                       const File& file, LoadedBlock* memory) {
  auto look = std::make_unique<BlockLook>();
  // Taken before the bytes are: what changes meanwhile has another one.
  look->stamp = file.stamp();
  StreamSurvey::Block& block = look->block;
  block.number = number;
  block.bytes = look->stamp.bytes;
  if (absl::Status read = ReadBytes(file, number, block.bytes, memory); !read.ok()) return read;
  StreamBlock records(place.stream, number, {memory->bytes.get(), block.bytes});
  BlockRecord record;
  while (true) {
    const StreamBlock::Step step = records.Next(&record);
    if (step == StreamBlock::Step::kBad) return BadAt(number, records.offset());
    if (step == StreamBlock::Step::kEnd) return look;
    block.digest = AddToDigest(block.digest, record.checksum);
    if (record.kind == BlockRecord::Kind::kTombstone) look->tombstones.push_back(record.seq);
    if (record.kind != BlockRecord::Kind::kMessage) continue;
    look->messages.push_back({record.seq, record.size});
    block.last = record.seq;
    block.has_control = block.has_control || IsControl(place.prefix, record.subject);
  }
}

class Survey {
 public:
  Survey(const StreamPlace& place, const StreamClaim& claim) : claim_(claim) {
    survey_.place = place;
    survey_.state = claim.state;
  }

  absl::Status Add(const BlockLook& look);
  absl::Status Confirm();
  StreamSurvey Take() { return std::move(survey_); }

 private:
  using Message = BlockLook::Message;

  void FindDead();

  const StreamClaim& claim_;
  StreamSurvey survey_;
  std::vector<Message> messages_;  // all that lie in blocks; in the end those that live
  std::vector<StreamSeq> tombstones_;
};

absl::Status Survey::Add(const BlockLook& look) {
  for (const Message& message : look.messages) {
    if (!messages_.empty() && messages_.back().seq >= message.seq) {
      return Odd("block ", look.block.number, " has sequence ", message.seq.value(), " behind ",
                 messages_.back().seq.value());
    }
    messages_.push_back(message);
  }
  tombstones_.insert(tombstones_.end(), look.tombstones.begin(), look.tombstones.end());
  if (!look.messages.empty()) survey_.blocks.push_back(look.block);
  return absl::OkStatus();
}

// Takes what a tombstone names out of messages_.
void Survey::FindDead() {
  std::sort(tombstones_.begin(), tombstones_.end());
  auto tombstone = tombstones_.begin();
  const auto is_dead = [&](const Message& message) {
    while (tombstone != tombstones_.end() && *tombstone < message.seq) ++tombstone;
    if (tombstone == tombstones_.end() || *tombstone != message.seq) return false;
    survey_.dead.push_back(message.seq);
    return true;
  };
  messages_.erase(std::remove_if(messages_.begin(), messages_.end(), is_dead), messages_.end());
}

absl::Status Survey::Confirm() {
  FindDead();
  const StreamState& state = claim_.state;
  uint64_t bytes = 0;
  for (const Message& message : messages_) bytes += message.size;
  if (messages_.size() != state.messages || bytes != state.bytes) {
    return Odd("they hold ", messages_.size(), " records of ", bytes, " bytes, nats-server ",
               state.messages, " of ", state.bytes);
  }
  if (messages_.empty()) return absl::OkStatus();
  if (messages_.front().seq != state.first || messages_.back().seq > state.last) {
    return Odd("they hold ", messages_.front().seq.value(), " to ", messages_.back().seq.value(),
               ", nats-server ", state.first.value(), " to ", state.last.value());
  }
  if (!claim_.deleted.has_value()) return absl::OkStatus();
  const std::vector<StreamSeq>& deleted = *claim_.deleted;
  const uint64_t range = state.last.value() - state.first.value() + 1;
  if (deleted.size() != range - state.messages) {
    return Odd("nats-server names ", deleted.size(), " deleted records of ", range, " and has ",
               state.messages);
  }
  for (size_t i = 0, d = 0; i < messages_.size() && d < deleted.size();) {
    if (messages_[i].seq == deleted[d]) {
      return Odd("they hold ", deleted[d].value(), ", which nats-server calls deleted");
    }
    messages_[i].seq < deleted[d] ? ++i : ++d;
  }
  return absl::OkStatus();
}

}  // namespace

bool RecordWish::Takes(std::string_view prefix, std::string_view stored) const {
  if (subjects.empty()) {
    return stored.size() > prefix.size() && stored.substr(0, prefix.size()) == prefix;
  }
  return std::find(subjects.begin(), subjects.end(), stored) != subjects.end();
}

bool StreamSurvey::MayHold(size_t index, const RecordWish& wish) const {
  const Block& block = blocks[index];
  if (block.last < wish.from) return false;
  const bool only_control =
      !wish.subjects.empty() &&
      std::all_of(wish.subjects.begin(), wish.subjects.end(),
                  [this](const std::string& s) { return IsControl(place.prefix, s); });
  return block.has_control || !only_control;
}

EarlyLook::EarlyLook(StreamPlace place) : place_(std::move(place)) {
  std::promise<Looks> promise;
  coming_ = promise.get_future();
  thread_ = std::thread(
      [this, promise = std::move(promise)]() mutable { promise.set_value(LookAround()); });
}

EarlyLook::~EarlyLook() {
  Stop();
  thread_.join();
}

EarlyLook::Looks EarlyLook::LookAround() const {
  Looks looks;
  LoadedBlock memory;
  // A new store has no folder yet.
  const auto numbers = ListBlocks(place_.folder + "/msgs").value_or(std::vector<uint64_t>());
  for (const uint64_t number : numbers) {
    if (stop_.load(std::memory_order_relaxed)) break;
    auto look = LookThrough(place_, number, File(PathOf(place_, number)), &memory);
    if (look.ok()) looks[number] = *std::move(look);
  }
  return looks;
}

std::unique_ptr<BlockLook> EarlyLook::Take(uint64_t number, const BlockLook::Stamp& stamp) {
  if (coming_.valid()) looks_ = coming_.get();
  auto look = looks_.extract(number);
  if (look.empty() || look.mapped()->stamp != stamp) return nullptr;
  return std::move(look.mapped());
}

absl::StatusOr<std::shared_ptr<const StreamSurvey>> SurveyStream(const StreamPlace& place,
                                                                 const StreamClaim& claim,
                                                                 EarlyLook* early,
                                                                 const std::atomic<bool>& stop) {
  Survey survey(place, claim);
  LoadedBlock memory;
  const auto numbers = ListBlocks(place.folder + "/msgs");
  if (!numbers.has_value()) return Odd("there is no folder ", place.folder, "/msgs");
  for (const uint64_t number : *numbers) {
    if (stop.load(std::memory_order_relaxed)) return absl::CancelledError("nobody needs it");
    const File file(PathOf(place, number));
    std::unique_ptr<BlockLook> look;
    if (early != nullptr) look = early->Take(number, file.stamp());
    if (look == nullptr) {
      auto now = LookThrough(place, number, file, &memory);
      if (!now.ok()) return now.status();
      look = *std::move(now);
    }
    if (absl::Status added = survey.Add(*look); !added.ok()) return added;
  }
  if (absl::Status confirmed = survey.Confirm(); !confirmed.ok()) return confirmed;
  return std::make_shared<const StreamSurvey>(survey.Take());
}

absl::Status LoadBlock(const StreamSurvey& survey, size_t index, const RecordWish& wish,
                       LoadedBlock* loaded) {
  const StreamSurvey::Block& block = survey.blocks[index];
  const StreamPlace& place = survey.place;
  loaded->records.clear();
  const File file(PathOf(place, block.number));
  if (absl::Status read = ReadBytes(file, block.number, block.bytes, loaded); !read.ok()) {
    return read;
  }
  StreamBlock records(place.stream, block.number, {loaded->bytes.get(), block.bytes});
  auto dead = survey.dead.begin();
  uint64_t digest = 0;
  BlockRecord record;
  while (true) {
    const StreamBlock::Step step = records.Next(&record);
    if (step == StreamBlock::Step::kBad) return BadAt(block.number, records.offset());
    if (step == StreamBlock::Step::kEnd) break;
    digest = AddToDigest(digest, record.checksum);
    if (record.kind != BlockRecord::Kind::kMessage || record.seq < wish.from) continue;
    if (!wish.Takes(place.prefix, record.subject)) continue;
    dead = std::lower_bound(dead, survey.dead.end(), record.seq);
    if (dead != survey.dead.end() && *dead == record.seq) continue;
    Record out;
    if (!ToRecord(place.prefix, record, &out)) {
      return Odd("the headers of record ", record.seq.value(), " are spelled in an unusual way");
    }
    if (wish.headers_only) out.payload = {};
    loaded->records.push_back(out);
  }
  if (digest != block.digest) return Odd("block ", block.number, " has changed");
  return absl::OkStatus();
}

}  // namespace jetd::jetstream
