// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_STREAM_SURVEY_H_
#define JETD_JETSTREAM_STREAM_SURVEY_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/types.h"
#include "jetstream/log.h"

namespace jetd::jetstream {

// Where the files of a bucket's stream lie.
struct StreamPlace {
  std::string folder;  // <stream>; the blocks are in its msgs/
  std::string stream;  // its name
  std::string prefix;  // of its subjects, "$KV.b."
};

// What nats-server says is in the stream, which has the last word.
struct StreamClaim {
  StreamState state;
  // Those between first and last that are not there, ascending, where they were asked for.
  std::optional<std::vector<StreamSeq>> deleted;
};

// Which records a reading is after.
struct RecordWish {
  StreamSeq from{1};
  // As they are stored, exact, no wildcards. Empty: all of the bucket.
  std::vector<std::string> subjects;
  bool headers_only = false;

  [[nodiscard]] bool Takes(std::string_view prefix, std::string_view stored) const;
};

// What a stream's files were found to hold when they were looked through, and that it is exactly
// what nats-server says. Constant.
struct StreamSurvey {
  struct Block {
    uint64_t number = 0;
    size_t bytes = 0;  // of its file
    StreamSeq last;    // message in it
    uint64_t digest = 0;
    bool has_control = false;  // records of jetd's own, leases apart
  };
  StreamPlace place;
  StreamState state;
  std::vector<Block> blocks;    // that hold messages, ascending
  std::vector<StreamSeq> dead;  // messages in them that a tombstone deletes, ascending

  // Whether blocks[index] may hold a record that `wish` takes.
  [[nodiscard]] bool MayHold(size_t index, const RecordWish& wish) const;
};

// What lies in one file, and which file that was.
struct BlockLook {
  struct Stamp {
    uint64_t inode = 0;
    size_t bytes = 0;
    int64_t changed_ns = 0;  // last modification
    friend bool operator==(const Stamp&, const Stamp&) = default;
  };
  struct Message {
    StreamSeq seq;
    uint64_t size;
  };
  Stamp stamp;
  StreamSurvey::Block block;
  std::vector<Message> messages;
  std::vector<StreamSeq> tombstones;
};

// Looks through the files ahead of time, while nats-server recovers: nothing of it counts before a
// survey has confirmed it. Files that change meanwhile, or cannot be made sense of, are left for
// the survey. 16 bytes a message, until it ends.
//
// Whoever destroys it waits for the end of the block under way.
class EarlyLook {
 public:
  // A folder that is not there is none with nothing in it.
  explicit EarlyLook(StreamPlace place);
  ~EarlyLook();
  EarlyLook(const EarlyLook&) = delete;
  EarlyLook& operator=(const EarlyLook&) = delete;

  // Looks no further. Any thread.
  void Stop() { stop_.store(true, std::memory_order_relaxed); }
  // What was found in block `number`, if that is the file which `stamp` is of; null otherwise.
  // Waits until all was looked through. One thread, once for each block.
  [[nodiscard]] std::unique_ptr<BlockLook> Take(uint64_t number, const BlockLook::Stamp& stamp);

 private:
  using Looks = std::map<uint64_t, std::unique_ptr<BlockLook>>;
  [[nodiscard]] Looks LookAround() const;

  const StreamPlace place_;
  std::atomic<bool> stop_{false};
  std::future<Looks> coming_;
  Looks looks_;  // once they came
  std::thread thread_;
};

// Looks through all files. Anything that is not as expected is an error, which says what; then
// nothing may be taken from the files. What is checked:
//
//   - every byte belongs to a record that its checksum confirms (stream_block.h);
//   - no sequence is there twice: messages ascend over all blocks;
//   - what is left without the tombstones' is as many messages and bytes as nats-server counts, and
//     lies between its first and last sequence; none of it is among those that it calls deleted.
//
// nats-server serves nothing but what lies in these files. So with its list of deleted sequences
// both sets are the same, one by one. Without it (there may be millions) they would have to differ
// in messages of the same number and size both ways, and what would then be read too much is a
// record whose deletion got lost: a reader of the stream meets those after any power cut.
//
// Files that `early` (may be null) has looked through, and that have not changed since, are not
// read. Should one have changed all the same, LoadBlock finds another digest.
//
// Reads the whole stream: not on the engine thread. Ends early, with an error, once `stop` is set.
[[nodiscard]] absl::StatusOr<std::shared_ptr<const StreamSurvey>> SurveyStream(
    const StreamPlace& place, const StreamClaim& claim, EarlyLook* early,
    const std::atomic<bool>& stop);

// The records of one block, and the bytes that they are views of.
struct LoadedBlock {
  std::unique_ptr<char[]> bytes;
  size_t capacity = 0;
  std::vector<Record> records;
};

// Reads survey.blocks[index] again into *loaded, whose memory is used anew, with the checks of the
// survey; an error if it is not the same any more. Any thread but the engine's.
[[nodiscard]] absl::Status LoadBlock(const StreamSurvey& survey, size_t index,
                                     const RecordWish& wish, LoadedBlock* loaded);

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_STREAM_SURVEY_H_
