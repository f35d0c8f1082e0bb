// SPDX-License-Identifier: Apache-2.0
// A data race on purpose. The tsan preset runs it and passes only if ThreadSanitizer reports it: a
// suppression that has grown too wide, or a build that lost its instrumentation, shows at once.
#include <cstdio>
#include <thread>

int main() {
  int racy = 0;
  std::thread other([&racy] { ++racy; });
  ++racy;
  other.join();
  std::printf("%d\n", racy);
  return 0;
}
