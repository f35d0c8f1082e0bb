// SPDX-License-Identifier: Apache-2.0
#include "cli/figures.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/strings.h"

namespace jetd::cli {
namespace {

std::string OneDecimal(double number) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.1f", number);
  return text.data();
}

}  // namespace

std::string SizeText(uint64_t bytes) {
  constexpr double kUnit = 1024;
  if (bytes < 1024) return Counted(bytes, "byte");
  double size = static_cast<double>(bytes) / kUnit;
  for (const char* unit : {"KiB", "MiB", "GiB"}) {
    if (size < kUnit) return Cat(OneDecimal(size), " ", unit);
    size /= kUnit;
  }
  return Cat(OneDecimal(size), " TiB");
}

std::string SecondsText(double seconds) {
  constexpr uint64_t kMinute = 60;
  if (seconds < 0.1) return Cat(static_cast<uint64_t>(std::max(seconds, 0.0) * 1'000 + 0.5), " ms");
  if (seconds < 10) return Cat(OneDecimal(seconds), " s");
  const auto whole = static_cast<uint64_t>(seconds + 0.5);
  if (whole < kMinute) return Cat(whole, " s");
  return Cat(whole / kMinute, " min ", whole % kMinute, " s");
}

std::string Counted(uint64_t n, std::string_view noun) {
  return Cat(n, " ", noun, n == 1 ? "" : "s");
}

std::string Pace::Text(uint64_t done, uint64_t of) const {
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  std::string text = of == 0 ? Cat(what_, ": ", Counted(done, noun_))
                             : Cat(what_, ": ", done, " of ", Counted(of, noun_));
  CatTo(text, ", ", static_cast<uint64_t>(rate), " a second");
  if (of > done && rate > 0) {
    CatTo(text, ", ", SecondsText(static_cast<double>(of - done) / rate), " left");
  }
  return text;
}

}  // namespace jetd::cli
