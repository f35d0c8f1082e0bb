// SPDX-License-Identifier: Apache-2.0
// The process log: thin on top of spdlog, one line an event on stderr. Any thread may log. Keys and
// values of users are not logged above debug.
//
//   log::Init({.level = log::Level::kInfo, .format = log::Format::kText});
//   log::Info("took over term {} from {}", term, member);
//
// Text lines read `2026-01-02T03:04:05.678Z info message`; JSON lines are objects with `ts`,
// `level` and `msg`, as etcd's log has them, for collectors.
#ifndef JETD_BASE_LOG_H_
#define JETD_BASE_LOG_H_

#include <memory>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "spdlog/spdlog.h"

namespace jetd::log {

enum class Level { kDebug, kInfo, kWarn, kError };
enum class Format { kText, kJson };

struct Options {
  Level level = Level::kInfo;
  Format format = Format::kText;
};

// Once, before other threads start; without it the library's own default applies.
void Init(const Options& options);

// "debug", "info", "warn", "error"; etcd's "panic" and "fatal" mean error here. Otherwise
// InvalidArgument.
[[nodiscard]] absl::StatusOr<Level> ParseLevel(std::string_view name);

// What Init installs; visible for tests and for programs that log elsewhere.
[[nodiscard]] std::unique_ptr<spdlog::formatter> MakeFormatter(Format format);

template <typename... Args>
void Debug(spdlog::format_string_t<Args...> format, Args&&... args) {
  spdlog::default_logger_raw()->debug(format, std::forward<Args>(args)...);
}
template <typename... Args>
void Info(spdlog::format_string_t<Args...> format, Args&&... args) {
  spdlog::default_logger_raw()->info(format, std::forward<Args>(args)...);
}
template <typename... Args>
void Warn(spdlog::format_string_t<Args...> format, Args&&... args) {
  spdlog::default_logger_raw()->warn(format, std::forward<Args>(args)...);
}
template <typename... Args>
void Error(spdlog::format_string_t<Args...> format, Args&&... args) {
  spdlog::default_logger_raw()->error(format, std::forward<Args>(args)...);
}

}  // namespace jetd::log

#endif  // JETD_BASE_LOG_H_
