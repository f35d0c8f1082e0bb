// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_FILE_READER_H_
#define JETD_JETSTREAM_FILE_READER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/loop.h"
#include "base/types.h"
#include "jetstream/helper_thread.h"
#include "jetstream/log.h"
#include "jetstream/nats_api.h"
#include "jetstream/stream_setup.h"
#include "jetstream/stream_survey.h"

namespace jetd::jetstream {

// One pass over the stream of an embedded nats-server, from a sequence to its end, out of the
// server's own files (docs/adr/0044): each record costs a checksum, instead of two processes' work
// on a message. The server is asked for what is in the stream, a survey of the files has to find
// exactly that, and only then the blocks are read once more, record by record.
//
// Whatever is in doubt, and whatever is too short to be worth it, is left to somebody else from
// the first record on that was not handed out yet: `Otherwise`, which reads it through the server.
//
// The files are read by a thread of its own, at most kBlocksAhead in front of what was handed out;
// records are handed out in slices, between which the loop does other work.
//
// Owned by a NatsLog, on one connection. The engine thread's alone; calls back from messages and
// posted work only. After `done`, `otherwise` or Drop it calls nobody.
class FileReader {
 public:
  // Block files in memory: up to kBlocksAhead + 1 of 8 MiB, seldom more.
  static constexpr size_t kBlocksAhead = 2;

  // What the readers of one stream know together.
  struct Shared {
    // The last one, until all was read by it or the connection ends: the server rewrites files at
    // times. Null: none.
    std::shared_ptr<const StreamSurvey> survey;
    std::shared_ptr<EarlyLook> early;  // for the first survey; null: none, or used up
    bool doubted = false;              // for good: said in the log once
    uint64_t passes = 0;               // that ended here
  };
  struct Source {
    Loop* loop = nullptr;
    NatsApi* api = nullptr;
    StreamOptions stream;
    std::string folder;        // of the stream's files
    uint64_t min_records = 0;  // fewer are not worth it
    bool few_deletes = false;  // so that nats-server may name them
  };
  // Takes over from `from` on.
  using OtherwiseFn = std::function<void(StreamSeq from, Log::RecordFn, Log::ReadDoneFn)>;

  // Whether a reading is of a kind that can be done here.
  [[nodiscard]] static bool Can(const Log::ReadOptions& options);

  // REQUIRES: Can(options). `shared` outlives it.
  FileReader(Source source, Shared* shared, const Log::ReadOptions& options,
             Log::RecordFn on_record, Log::ReadDoneFn done, OtherwiseFn otherwise);
  // Waits for the piece of a file that is being read.
  ~FileReader();

  void Start();
  // The connection is gone.
  void Fail(const absl::Status& why) { Finish(why); }
  // The same without telling anybody.
  void Drop();
  [[nodiscard]] bool finished() const { return done_ == nullptr; }

 private:
  using SurveyOr = absl::StatusOr<std::shared_ptr<const StreamSurvey>>;
  struct Loaded {
    size_t block = 0;  // index in the survey
    absl::Status status;
    LoadedBlock content;
  };

  void OnFacts(const StreamFacts& facts);
  void OnSurvey(SurveyOr survey);
  void LoadAhead();
  void OnLoaded(std::unique_ptr<Loaded> loaded);
  void HandOut();
  void Doubt(const absl::Status& why);
  void LeaveRest();
  void Stop();
  void Finish(const absl::StatusOr<StreamSeq>& result);
  // Runs `work` on the helper thread, then `then` with what it gave on the loop, if this is still
  // there and not finished.
  template <typename Work, typename Then>
  void Away(Work work, Then then);

  const Source source_;
  Shared* const shared_;
  Log::RecordFn on_record_;
  Log::ReadDoneFn done_;
  OtherwiseFn otherwise_;
  RecordWish wish_;
  // What comes back later holds it weakly.
  std::shared_ptr<FileReader*> self_;

  StreamSeq target_;                  // the stream's last sequence, asked for after the call
  StreamSeq next_;                    // first sequence that was not handed out
  std::shared_ptr<EarlyLook> early_;  // while a survey uses it
  std::shared_ptr<const StreamSurvey> survey_;
  std::vector<size_t> blocks_;  // of the survey, to be read
  size_t asked_ = 0;            // of them, on the helper thread or here
  size_t handed_out_ = 0;       // whole
  size_t at_ = 0;               // record of the first of loaded_
  bool handing_out_ = false;    // a slice is due
  std::deque<std::unique_ptr<Loaded>> loaded_;
  std::vector<std::unique_ptr<Loaded>> spare_;  // for their memory

  std::atomic<bool> stop_{false};
  std::optional<HelperThread> helper_;  // the last member: it is waited for first
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_FILE_READER_H_
