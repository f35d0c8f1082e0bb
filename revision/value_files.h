// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_VALUE_FILES_H_
#define JETD_REVISION_VALUE_FILES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "revision/kv.h"

namespace jetd::revision {

// Syncs which files a folder holds. If false, errno says why.
[[nodiscard]] bool SyncFolder(const std::string& folder);

// ValueFiles keeps encodings of versions outside of memory, in a folder of its own: segments, files
// that are only appended to. What is read back comes from the kernel's page cache as a rule, which
// so is the cache of these values (docs/adr/0018-values-in-local-files.md).
//
//   record:  mark, size, CRC-32C, mod revision (main, sub)   24 bytes, in the machine's byte order
//            the encoding: a whole mvccpb.KeyValue
//
// The files serve this process, and through a checkpoint the next one: the stream is what survives.
// So nothing is synced but by Save, a start begins with an empty folder as a rule, and a record
// that does not read back as it was written ends the process, which the stream then rebuilds. A
// disk that takes no more is no error: Append says no.
//
// A segment counts the bytes of its records that are in use; when none are, it is removed. Who
// moves the rest out of one that is mostly waste is ValueCache.
//
// Thread rules: the engine thread only. Reads and writes block; writes go to the page cache.
class ValueFiles {
 public:
  struct Options {
    std::string folder;  // made if it is not there, not its parents
    // A segment is closed at this size, or at a 32nd of all when that is more, so that there are
    // never many files; a record never spans two.
    size_t segment_bytes = 16UL << 20;
    // Appended bytes wait for each other, to be written in one piece.
    size_t buffer_bytes = 256UL << 10;
    // Segments that are there stay for Adopt, until Clear.
    bool keep = false;
    // Each process adds a segment, however little it writes. Open ones are open files.
    size_t most_saved = 512;
  };
  struct SegmentSize {
    uint32_t number = 0;
    uint64_t size = 0;
  };
  struct Stats {
    size_t segments = 0;
    size_t file_bytes = 0;  // of all records
    size_t live_bytes = 0;  // of those in use
  };
  struct Record {
    ModRevision mod;
    std::string_view key;
    std::string_view encoded;
    ValueLocation location;
  };

  // Takes the folder for this process and empties it of segments. kFailedPrecondition if another
  // process has it.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<ValueFiles>> Open(Options options);
  ~ValueFiles();
  ValueFiles(const ValueFiles&) = delete;
  ValueFiles& operator=(const ValueFiles&) = delete;

  // Adds a record. nullopt if the disk does not take it: nothing has changed then, and of the next
  // attempts only one in kRetryEvery is made.
  [[nodiscard]] std::optional<ValueLocation> Append(ModRevision mod, std::string_view encoded);
  // Reads the encoding at `location` to `out`, which has room for location.size bytes. kMany, for
  // one of many reads: closed segments are mapped then, so that a read is a copy and no system call
  // (1 KiB: 0.2 us against 1). Maps are pages of files, which the kernel takes back when it needs
  // them, but they count as this process's; they go when kUnmapAfter records were appended after
  // the last such read.
  enum class How { kOne, kMany };
  void Read(const ValueLocation& location, char* out, How how = How::kOne) const;
  // The version with its value. REQUIRES: it is cold, and its value lies here.
  [[nodiscard]] KvRef Load(const KvBlock& cold, How how = How::kOne) const;
  // The record is not in use any more.
  void Drop(const ValueLocation& location);

  // While pinned, no segment is removed: what was in use at Pin can be read until Unpin, in use or
  // not. Clear removes them all the same; those who pinned find another generation() then.
  void Pin() { ++pins_; }
  void Unpin();
  [[nodiscard]] bool pinned() const { return pins_ > 0; }
  [[nodiscard]] uint64_t generation() const { return generation_; }

  // Forgets all records, and removes all segments, also such as Open left there.
  void Clear();

  // Writes and syncs all, and leaves the files there from now on, when this object ends too. What
  // to Adopt then. An error if there are more than `most_saved`.
  [[nodiscard]] absl::StatusOr<std::vector<SegmentSize>> Save();
  // Takes these segments of an earlier process over, their records not in use, and removes all
  // others. After an error: Clear. REQUIRES: nothing was appended.
  [[nodiscard]] absl::Status Adopt(const std::vector<SegmentSize>& segments);
  // Says that a record of an adopted segment is in use. False if there is no such place.
  [[nodiscard]] bool Use(const ValueLocation& location);
  // Removes adopted segments of which no record is.
  void RemoveUnused();

  // The closed segment with the largest share of waste, if there is more waste than use over all
  // and than four segments.
  [[nodiscard]] std::optional<uint32_t> MostlyWaste() const;
  [[nodiscard]] bool Has(uint32_t segment) const { return segments_.contains(segment); }
  // Calls fn for the records of a closed segment from *offset on, in use or not, at most
  // `max_bytes` of them (but one), and moves *offset behind those of which fn said true; at the
  // first of which it says false it stops. fn may append and drop. True if that was the last.
  // REQUIRES: Has(segment).
  [[nodiscard]] bool Scan(uint32_t segment, uint32_t* offset, size_t max_bytes,
                          absl::FunctionRef<bool(const Record&)> fn) const;

  [[nodiscard]] const Stats& stats() const { return stats_; }
  [[nodiscard]] const Options& options() const { return options_; }

  static constexpr size_t kHeadBytes = 24;
  static constexpr int kRetryEvery = 256;
  static constexpr int kUnmapAfter = 256;

 private:
  struct Segment {
    int fd = -1;
    size_t size = 0;  // of all records, those in the buffer included
    size_t live = 0;
    mutable const char* map = nullptr;  // of `mapped` bytes; null: not mapped
    mutable size_t mapped = 0;
  };

  ValueFiles(Options options, int lock_fd);
  [[nodiscard]] std::string PathOf(uint32_t segment) const;
  // Makes the current segment take `bytes` more. False if the disk does not.
  bool Reserve(size_t bytes);
  bool NewSegment();
  bool Flush();
  // Tells the log once; errno says why.
  void Fail(const char* what, uint32_t segment);
  void Remove(uint32_t segment);
  // The same for a closed segment that is not in use, unless it is pinned.
  void Retire(uint32_t segment);
  // Reads bytes of a segment wherever they are. `size` and `offset` lie within it.
  void ReadBytes(uint32_t segment, size_t offset, size_t size, char* out) const;
  // The bytes of a closed segment, null if the system does not map it.
  [[nodiscard]] static const char* Map(const Segment& segment);
  static void Unmap(const Segment& segment);

  const Options options_;
  const int lock_fd_;
  absl::flat_hash_map<uint32_t, Segment> segments_;
  Stats stats_;
  uint32_t current_ = 0;  // the segment that is appended to; 0: none yet
  uint32_t cleared_ = 0;  // numbers up to here were used
  size_t written_ = 0;    // of it in the file; the rest is in the buffer
  std::string buffer_;
  bool failing_ = false;
  bool saved_ = false;
  int pins_ = 0;
  mutable int until_unmap_ = 0;  // records to be appended until the maps go; 0: there are none
  uint64_t generation_ = 0;
  int skipped_ = 0;  // attempts since the disk last refused
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_VALUE_FILES_H_
