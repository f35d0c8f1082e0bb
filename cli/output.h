// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_OUTPUT_H_
#define JETD_CLI_OUTPUT_H_

#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "cli/table.h"

namespace jetd::cli {

// Exit codes of jetctl, for scripts; `jetctl --help` names them too.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;   // it could not be done, or not to its end
inline constexpr int kExitUsage = 2;    // the command line is wrong; nothing was begun
inline constexpr int kExitDamaged = 3;  // done or not: damage was found (every kDataLoss)

// Where a command says what it does: results to one file, everything else to the other, so that a
// pipe gets the results alone. Progress is one line that is written over, on a terminal only; so
// are the few colours, and not where NO_COLOR is set or TERM is "dumb". Any one thread.
class Output {
 public:
  Output(std::FILE* results, std::FILE* messages);
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // As it is; ends with a line's end. What cannot be written sets interrupted().
  void Print(std::string_view text);
  void Print(const Table& table);
  // Lines, of which those that begin with `good` do so in green, those with `bad` in red.
  void PrintVerdict(std::string_view text, std::string_view good, std::string_view bad);
  // Once all is printed: not OK if some of it could not be written.
  [[nodiscard]] absl::Status Flush();
  // "jetctl check: …", one line.
  void Say(std::string_view command, std::string_view line);
  // The same of what went wrong: "jetctl check:" is red.
  void Fail(std::string_view command, std::string_view line);
  // One line of what is going on, without its end; shown at most ten times a second.
  void Progress(std::string_view line);
  // Takes the progress line away.
  void EndProgress();

  // Set once the user wants it to end, or nobody takes its results; for main()'s signal handler.
  [[nodiscard]] std::atomic<bool>* interrupted() { return &interrupted_; }

 private:
  void NoteResults(bool written);
  void Tell(std::string_view command, std::string_view line, std::string_view colour);

  std::FILE* const results_;
  std::FILE* const messages_;
  const bool terminal_;  // of the messages
  const bool colour_results_, colour_messages_;
  std::atomic<bool> interrupted_{false};
  int write_error_ = 0;  // errno of the first, 0: none
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace jetd::cli

#endif  // JETD_CLI_OUTPUT_H_
