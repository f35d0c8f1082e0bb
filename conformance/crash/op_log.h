// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_CRASH_OP_LOG_H_
#define JETD_CONFORMANCE_CRASH_OP_LOG_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace jetd::conformance {

// What a client knows of a write that it sent.
enum class Outcome {
  kAcked,    // answered with success
  kRefused,  // answered with an error that says it did not and will not happen
  kUnknown,  // no answer, or an error that leaves it open
};

struct KeyWrite {
  std::string key;
  bool is_delete = false;
  std::string value{};     // of a put; no two puts of a run have the same
  bool had_effect = true;  // kAcked: false for a delete that found nothing
};

// One request: a put, a delete, or a transaction of several (of different keys). Writers write one
// after the other, and every key belongs to one writer.
struct WriteOp {
  int writer = 0;
  int number = 0;  // position in its writer's order
  std::vector<KeyWrite> keys{};
  Outcome outcome = Outcome::kUnknown;
  int64_t revision = 0;  // kAcked: what the answer's header said
  std::string error{};   // otherwise
};

// One event of the store's history, as a watch from the first revision on tells it.
struct HistoryEvent {
  int64_t revision = 0;
  std::string key;
  bool is_delete = false;
  std::string value{};
  int64_t create_revision = 0;  // 0 for a delete
  int64_t version = 0;          // 0 for a delete
  friend bool operator==(const HistoryEvent&, const HistoryEvent&) = default;
};

// One key of the store's final state.
struct FinalKey {
  std::string value;
  int64_t create_revision = 0;
  int64_t mod_revision = 0;
  int64_t version = 0;
  friend bool operator==(const FinalKey&, const FinalKey&) = default;
};

struct OpCounts {
  size_t acked = 0;
  size_t refused = 0;
  size_t unknown = 0;
  size_t unknown_landed = 0;  // of those with a put in them
};

// Judges a run: what was sent and answered (`ops`, any order) against what the store holds.
// Violations, one line each, empty if all is well:
//   an acked write that is missing, twice, torn, changed or not where its answer said
//   a refused write that is there; an unknown one that is there in part
//   anything there that nobody sent, or that is not in its writer's order
//   a revision without an event, a wrong version or create revision
//   a final state that is not what the history adds up to
// Pure.
class OpLog {
 public:
  explicit OpLog(const std::vector<WriteOp>& ops);

  [[nodiscard]] std::vector<std::string> Check(const std::vector<HistoryEvent>& history,
                                               const std::map<std::string, FinalKey>& final_state);
  // After Check.
  [[nodiscard]] const OpCounts& counts() const { return counts_; }

 private:
  struct Landed;

  void IndexHistory(const std::vector<HistoryEvent>& history);
  void CheckOp(const WriteOp& op);
  int64_t LandingOfPuts(const WriteOp& op);
  void CheckAcked(const WriteOp& op, int64_t landed);
  void CheckOrder(const std::string& key, const std::vector<const HistoryEvent*>& events);
  [[nodiscard]] std::string Before(const HistoryEvent& event) const;
  void CheckVersions(const std::vector<HistoryEvent>& history);
  void Violation(const std::string& text);

  const std::vector<WriteOp>& ops_;
  OpCounts counts_;
  std::vector<std::string> violations_;
  // Of the history.
  std::map<std::string_view, const HistoryEvent*> by_value_;
  std::map<std::string, std::vector<const HistoryEvent*>> by_key_;
  std::map<std::pair<std::string, int64_t>, const HistoryEvent*> by_place_;
  // What CheckOp found: events and the number of the op that made them.
  std::map<const HistoryEvent*, int> made_by_;
  // Numbers of the deletes of a key whose fate nobody knows, in order.
  std::map<std::string, std::vector<int>> open_deletes_;
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_CRASH_OP_LOG_H_
