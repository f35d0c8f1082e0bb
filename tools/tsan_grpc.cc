// SPDX-License-Identifier: Apache-2.0
// Tells ThreadSanitizer what gRPC promises: what a thread did before it handed a tag to gRPC is
// visible to the thread that gets the tag back from the completion queue. Debian builds gRPC
// without instrumentation, so TSan cannot see the locks that make this true and would report every
// call as a race. Linked in the tsan preset only, into what links gRPC; it stands in for gRPC's
// functions of the same names and calls them. The C++ names among them are those of Debian 12.
#include <dlfcn.h>
#include <grpc/grpc.h>

#include <utility>

#include "absl/status/status.h"

extern "C" {

void __tsan_acquire(void* address);
void __tsan_release(void* address);

}  // extern "C"

namespace jetd {
namespace {

// gRPC's own function behind the one of the same (linker's) name here.
template <typename Function>
Function* Behind(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

grpc_event Acquired(const grpc_event& event) {
  if (event.type == GRPC_OP_COMPLETE) __tsan_acquire(event.tag);
  return event;
}

}  // namespace
}  // namespace jetd

// Inside gRPC every operation begins here, on the thread that asks for it …
struct grpc_cq_completion;
bool grpc_cq_begin_op(grpc_completion_queue* queue, void* tag) {
  static auto* const behind =
      jetd::Behind<decltype(grpc_cq_begin_op)>("_Z16grpc_cq_begin_opP21grpc_completion_queuePv");
  __tsan_release(tag);
  return behind(queue, tag);
}

// … and ends here, on the thread that has its result.
void grpc_cq_end_op(grpc_completion_queue* queue, void* tag, absl::Status error,
                    void (*done)(void*, grpc_cq_completion*), void* done_argument,
                    grpc_cq_completion* storage, bool internal) {
  static auto* const behind = jetd::Behind<decltype(grpc_cq_end_op)>(
      "_Z14grpc_cq_end_opP21grpc_completion_queuePvN4absl7debian36StatusEPFvS1_P18grpc_cq_"
      "completionES1_S6_b");
  __tsan_release(tag);
  behind(queue, tag, std::move(error), done, done_argument, storage, internal);
}

extern "C" {

grpc_event grpc_completion_queue_next(grpc_completion_queue* queue, gpr_timespec deadline,
                                      void* reserved) {
  static auto* const behind = jetd::Behind<decltype(grpc_completion_queue_next)>(__func__);
  return jetd::Acquired(behind(queue, deadline, reserved));
}

grpc_event grpc_completion_queue_pluck(grpc_completion_queue* queue, void* tag,
                                       gpr_timespec deadline, void* reserved) {
  static auto* const behind = jetd::Behind<decltype(grpc_completion_queue_pluck)>(__func__);
  return jetd::Acquired(behind(queue, tag, deadline, reserved));
}

}  // extern "C"
