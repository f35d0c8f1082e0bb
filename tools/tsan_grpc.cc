// SPDX-License-Identifier: Apache-2.0
// Tells ThreadSanitizer what gRPC promises. Debian builds gRPC without instrumentation, so TSan
// cannot see the locks and atomics that make the promises true, and would report every call as a
// race:
//
// - What a thread did before it handed a tag to gRPC is visible to the thread that gets the tag
//   back from the completion queue.
// - What a thread did before it made a slice of memory of its own is visible to the thread that
//   runs the slice's destroy function. That one is whichever thread of gRPC's drops the slice's
//   last reference, often another call's, so that the first promise says nothing of it. gRPC finds
//   the function in the slice's reference count, an object that the first thread wrote when it made
//   the slice: had gRPC not ordered the two, it could not even find whom to call.
//
// Linked in the tsan preset only, into what links gRPC; it stands in for gRPC's functions of the
// same names and calls them. The C++ names among them are those of Debian 12.
#include <dlfcn.h>
#include <grpc/grpc.h>
#include <grpc/slice.h>

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

// A slice's own destroy function and what to call it with.
struct ToDestroy {
  void (*destroy)(void*);
  void* data;
};

void Destroy(void* to_destroy) {
  __tsan_acquire(to_destroy);
  const auto* const it = static_cast<ToDestroy*>(to_destroy);
  it->destroy(it->data);
  delete it;
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

grpc_slice grpc_slice_new_with_user_data(void* bytes, size_t size, void (*destroy)(void*),
                                         void* data) {
  static auto* const behind = jetd::Behind<decltype(grpc_slice_new_with_user_data)>(__func__);
  auto* const to_destroy = new jetd::ToDestroy{destroy, data};
  __tsan_release(to_destroy);
  return behind(bytes, size, &jetd::Destroy, to_destroy);
}

}  // extern "C"
