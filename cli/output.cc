// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <unistd.h>

#include "base/strings.h"

namespace jetd::cli {
namespace {

constexpr std::chrono::milliseconds kProgressPause{100};
constexpr std::string_view kEraseLine = "\r\x1b[K";

void Write(std::FILE* file, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), file);
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
  Write(results_, text);
}

void Output::Say(std::string_view command, std::string_view line) {
  EndProgress();
  std::fflush(results_);
  Write(messages_, Cat("jetctl", command.empty() ? "" : " ", command, ": ", line, "\n"));
}

void Output::Progress(std::string_view line) {
  if (!terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  if (shown_ && now - last_ < kProgressPause) return;
  last_ = now;
  shown_ = true;
  Write(messages_, Cat(kEraseLine, line));
  std::fflush(messages_);
}

void Output::EndProgress() {
  if (!shown_) return;
  shown_ = false;
  Write(messages_, kEraseLine);
  std::fflush(messages_);
}

}  // namespace jetd::cli
