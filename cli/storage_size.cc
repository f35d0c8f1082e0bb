// SPDX-License-Identifier: Apache-2.0
#include "cli/storage_size.h"

#include <charconv>
#include <limits>
#include <string_view>
#include <system_error>

#include "base/strings.h"

namespace jetd::cli {
namespace {

struct Unit {
  const char* name;
  int64_t bytes;
};
constexpr Unit kUnits[] = {{"TiB", int64_t{1} << 40},
                           {"GiB", int64_t{1} << 30},
                           {"MiB", int64_t{1} << 20},
                           {"KiB", int64_t{1} << 10}};

}  // namespace

absl::StatusOr<int64_t> ParseSize(const char* flag, const std::string& text) {
  int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  const std::string_view unit(parsed.ptr, static_cast<size_t>(end - parsed.ptr));
  int64_t factor = unit.empty() ? 1 : 0;
  for (const Unit& known : kUnits) {
    const std::string_view name = known.name;
    if (unit == name || unit == name.substr(0, 2)) factor = known.bytes;
  }
  if (parsed.ec != std::errc() || number <= 0 || factor == 0 ||
      number > std::numeric_limits<int64_t>::max() / factor) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, flag, ": \"", text,
                      "\" is no size; give bytes, or a number with KiB, MiB, ",
                      "GiB or TiB, as 8GiB");
  }
  return number * factor;
}

std::string SizeText(int64_t bytes) {
  for (const Unit& unit : kUnits) {
    if (bytes > 0 && bytes % unit.bytes == 0) return Cat(bytes / unit.bytes, unit.name);
  }
  return Cat(bytes);
}

}  // namespace jetd::cli
