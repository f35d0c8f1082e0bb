// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "base/log_fields.h"
#include "base/strings.h"
#include "nlohmann/json.hpp"
#include "spdlog/pattern_formatter.h"
#include "spdlog/sinks/stdout_sinks.h"

namespace jetd::log {
namespace {

constexpr char kTimePattern[] = "%Y-%m-%dT%H:%M:%S.%eZ";

std::string_view NameOf(spdlog::level::level_enum level) {
  const spdlog::string_view_t name = spdlog::level::to_string_view(level);
  // etcd's word.
  if (level == spdlog::level::warn) return "warn";
  return std::string_view(name.data(), name.size());
}

// Named values of the line that this thread is formatting. The library formats a message and then
// writes it, on one thread, so they are those of the line that is written next.
using Field = std::pair<std::string, nlohmann::ordered_json>;
thread_local std::vector<Field> fields;
// Somebody takes them.
std::atomic<bool> fields_wanted{false};

void Add(std::string_view name, nlohmann::ordered_json value) {
  constexpr size_t kMost = 32;  // where nobody takes them after all
  if (!fields_wanted.load(std::memory_order_relaxed)) return;
  if (fields.size() == kMost) fields.clear();
  fields.emplace_back(name, std::move(value));
}

// Lets the library stamp the time and JSON's own writer do the escaping.
class JsonFormatter : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    spdlog::memory_buf_t time;
    time_.format(message, time);
    nlohmann::ordered_json line;
    line["ts"] = std::string(time.data(), time.size());
    line["level"] = std::string(NameOf(message.level));
    line["msg"] = std::string(message.payload.data(), message.payload.size());
    for (Field& field : fields) line.emplace(std::move(field.first), std::move(field.second));
    fields.clear();
    const std::string text =
        line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    out.append(text.data(), text.data() + text.size());
    out.push_back('\n');
  }

  [[nodiscard]] std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonFormatter>();
  }

 private:
  spdlog::pattern_formatter time_{kTimePattern, spdlog::pattern_time_type::utc, ""};
};

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarn:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

void Init(const Options& options) {
  auto logger =
      std::make_shared<spdlog::logger>("jetd", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_formatter(MakeFormatter(options.format));
  logger->set_level(ToSpdlog(options.level));
  spdlog::set_default_logger(std::move(logger));
}

absl::StatusOr<Level> ParseLevel(std::string_view name) {
  if (name == "debug") return Level::kDebug;
  if (name == "info") return Level::kInfo;
  if (name == "warn") return Level::kWarn;
  if (name == "error" || name == "panic" || name == "fatal") return Level::kError;
  return MakeStatus(absl::StatusCode::kInvalidArgument, "unknown log level \"", name,
                    "\"; one of debug, info, warn, error");
}

void KeepField(std::string_view name, std::string_view value) { Add(name, std::string(value)); }
void KeepField(std::string_view name, int64_t value) { Add(name, value); }
void KeepField(std::string_view name, uint64_t value) { Add(name, value); }
void KeepField(std::string_view name, bool value) { Add(name, value); }

std::unique_ptr<spdlog::formatter> MakeFormatter(Format format) {
  if (format == Format::kJson) {
    fields_wanted.store(true, std::memory_order_relaxed);
    return std::make_unique<JsonFormatter>();
  }
  return std::make_unique<spdlog::pattern_formatter>(Cat(kTimePattern, " %l %v"),
                                                     spdlog::pattern_time_type::utc, "\n");
}

}  // namespace jetd::log
