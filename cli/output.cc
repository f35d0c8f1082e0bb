// SPDX-License-Identifier: Apache-2.0
#include "cli/output.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/strings.h"

namespace jetd::cli {
namespace {

constexpr std::chrono::milliseconds kProgressPause{100};
constexpr std::string_view kEraseLine = "\r\x1b[K";
constexpr std::string_view kRed = "\x1b[31m", kGreen = "\x1b[32m", kPlain = "\x1b[0m";

// https://no-color.org: any value but an empty one.
bool TakesColours(std::FILE* file) {
  const char* const no_color = std::getenv("NO_COLOR");
  const char* const term = std::getenv("TERM");
  return isatty(fileno(file)) != 0 && (no_color == nullptr || *no_color == '\0') &&
         term != nullptr && std::strcmp(term, "dumb") != 0;
}

bool Write(std::FILE* file, std::string_view text) {
  return std::fwrite(text.data(), 1, text.size(), file) == text.size();
}

}  // namespace

Output::Output(std::FILE* results, std::FILE* messages)
    : results_(results),
      messages_(messages),
      terminal_(isatty(fileno(messages)) != 0),
      colour_results_(TakesColours(results)),
      colour_messages_(TakesColours(messages)) {}

Output::~Output() {
  EndProgress();
  std::fflush(results_);
}

void Output::Print(std::string_view text) {
  EndProgress();
  NoteResults(Write(results_, text));
}

void Output::Print(const Table& table) {
  Print(table.ToText(colour_results_ ? Table::Head::kBold : Table::Head::kPlain));
}

void Output::PrintVerdict(std::string_view text, std::string_view good, std::string_view bad) {
  if (!colour_results_) return Print(text);
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n') + 1);
    const std::string_view word = line.starts_with(good)  ? good
                                  : line.starts_with(bad) ? bad
                                                          : std::string_view();
    if (word.empty()) {
      Print(line);
    } else {
      Print(Cat(word == good ? kGreen : kRed, word, kPlain, line.substr(word.size())));
    }
    text.remove_prefix(line.size());
  }
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

void Output::Say(std::string_view command, std::string_view line) { Tell(command, line, ""); }

void Output::Fail(std::string_view command, std::string_view line) {
  Tell(command, line, colour_messages_ ? kRed : "");
}

void Output::Tell(std::string_view command, std::string_view line, std::string_view colour) {
  EndProgress();
  NoteResults(std::fflush(results_) == 0);
  (void)Write(messages_, Cat(colour, "jetctl", command.empty() ? "" : " ", command, ":",
                             colour.empty() ? "" : kPlain, " ", line, "\n"));
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
