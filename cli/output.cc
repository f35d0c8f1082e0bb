// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/strings.h"

namespace jetd::cli {
namespace {

constexpr std::chrono::milliseconds kProgressPause{100};
constexpr std::string_view kEraseLine = "\r\x1b[K";

bool Write(std::FILE* file, std::string_view text) {
  return std::fwrite(text.data(), 1, text.size(), file) == text.size();
}

}  // namespace

Output::Output(std::FILE* results, std::FILE* messages)
    : results_(results), messages_(messages), terminal_(isatty(fileno(messages)) != 0) {}

Output::~Output() {
  EndProgress();
  std::fflush(results_);
}

void Output::Print(std::string_view text) {
  EndProgress();
  NoteResults(Write(results_, text));
}

absl::Status Output::Flush() {
  NoteResults(std::fflush(results_) == 0);
  if (write_error_ == 0) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kUnavailable,
                    "cannot write the results: ", std::strerror(write_error_));
}

void Output::NoteResults(bool written) {
  if (written || write_error_ != 0) return;
  write_error_ = errno != 0 ? errno : EIO;
  interrupted_.store(true);
}

void Output::Say(std::string_view command, std::string_view line) {
  EndProgress();
  NoteResults(std::fflush(results_) == 0);
  (void)Write(messages_, Cat("jetctl", command.empty() ? "" : " ", command, ": ", line, "\n"));
}

void Output::Progress(std::string_view line) {
  if (!terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  if (shown_ && now - last_ < kProgressPause) return;
  last_ = now;
  shown_ = true;
  (void)Write(messages_, Cat(kEraseLine, line));
  std::fflush(messages_);
}

void Output::EndProgress() {
  if (!shown_) return;
  shown_ = false;
  (void)Write(messages_, kEraseLine);
  std::fflush(messages_);
}

}  // namespace jetd::cli
