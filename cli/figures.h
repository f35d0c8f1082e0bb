// SPDX-License-Identifier: Apache-2.0
//
// Numbers for people, and where a job is. Pure but for the clock.
#ifndef JETD_CLI_FIGURES_H_
#define JETD_CLI_FIGURES_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace jetd::cli {

// "17 bytes", "3.4 KiB", "1.2 GiB".
[[nodiscard]] std::string SizeText(uint64_t bytes);
// "7 ms", "0.4 s", "12 s", "3 min 20 s".
[[nodiscard]] std::string SecondsText(double seconds);
// "1 key", "2 keys".
[[nodiscard]] std::string Counted(uint64_t n, std::string_view noun);

// "writing: 1000 of 5000 records, 250 a second, 16 s left", from the moment that it is made.
class Pace {
 public:
  Pace(std::string what, std::string noun) : what_(std::move(what)), noun_(std::move(noun)) {}
  // `of` 0: nobody knows how many there will be.
  [[nodiscard]] std::string Text(uint64_t done, uint64_t of) const;

 private:
  const std::string what_, noun_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace jetd::cli

#endif  // JETD_CLI_FIGURES_H_
