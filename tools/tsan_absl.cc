// SPDX-License-Identifier: Apache-2.0
// Keeps out of ThreadSanitizer's sight how absl::Status frees what its last copy held. Copies of an
// error share one object, counted by an atomic inside libabsl_status, which Debian builds without
// instrumentation: that the others' reads came before the last one frees it, TSan cannot see. What
// that library does would be left out by tools/tsan.supp; but it ends this one function by a jump
// to operator delete, so that the call seems to come from whoever dropped the copy.
//
// Linked in the tsan preset only, into all that links absl::status; it stands in for Abseil's
// function of the same name, a private one, which is that of Debian 12, and calls it.
#include <dlfcn.h>

#include <cstdint>

namespace jetd {
namespace {

constexpr char kUnref[] = "_ZN4absl7debian36Status15UnrefNonInlinedEm";

}  // namespace
}  // namespace jetd

extern "C" {

void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);

void JetdUnrefStatus(uintptr_t rep) __asm__("_ZN4absl7debian36Status15UnrefNonInlinedEm");
void JetdUnrefStatus(uintptr_t rep) {
  static auto* const behind = reinterpret_cast<void (*)(uintptr_t)>(dlsym(RTLD_NEXT, jetd::kUnref));
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  behind(rep);
  AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
  AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
}

}  // extern "C"
