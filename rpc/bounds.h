// SPDX-License-Identifier: Apache-2.0
//
// What clients can make a transport hold, beside what base/limits.h says of it, and what happens
// beyond that.
#ifndef JETD_RPC_BOUNDS_H_
#define JETD_RPC_BOUNDS_H_

#include <chrono>
#include <cstddef>

#include "base/limits.h"

namespace jetd::rpc {

// --- Messages that come -----------------------------------------------------------------------
// They count as their bytes arrive (limits::kMaxIncomingBytesEach, kMaxIncomingBytes). Whatever
// other connections hold, each may hold this much.
inline constexpr size_t kSureIncomingBytes = 64UL << 10;
// A message's first memory, if neither its size is less nor what is there of it is more; doubled as
// bytes come.
inline constexpr size_t kFirstMessageBytes = 4UL << 10;
// From one byte of a message that a handler waits for to the next, and from a unary call's headers
// to its message. Beyond: DEADLINE_EXCEEDED. A stream that waits for a message waits for ever.
inline constexpr std::chrono::seconds kMessagePatience{60};

// --- Answers that go --------------------------------------------------------------------------
// Bytes of answers that are not in frames, since windows are closed or a socket takes nothing, of
// one connection. Beyond: its unary calls wait with what they ask for. One answer weighs no more
// than the second, so that those beside a large one need not wait for it.
inline constexpr size_t kMaxUnsentBytesEach = 64UL << 20;
inline constexpr size_t kMaxAnswerWeight = 16UL << 20;
// … and of all. A connection's unary calls wait too where it has more than half of what is left of
// that, and a unary call whose answer does not fit into this half ends with UNAVAILABLE. Whatever
// others hold, each connection may hold the second, and answers up to the third are never in the
// way; nor is one while no other waits.
inline constexpr size_t kMaxUnsentBytes = 1UL << 30;
inline constexpr size_t kSureUnsentBytes = 1UL << 20;
inline constexpr size_t kSmallAnswerBytes = 1UL << 10;
// How often they are looked at, and for how many looks a unary call's answer may stay where it is;
// where half of kMaxUnsentBytes is taken, for one. Beyond: UNAVAILABLE, or a reset in the middle of
// a message.
inline constexpr std::chrono::seconds kUnsentLook{10};
inline constexpr int kUnsentLooks = 12;
// Frames that nghttp2 has queued for a socket that takes nothing. Beyond: nothing more is read from
// that client.
inline constexpr size_t kMaxQueuedFrames = 1'000;

// --- Headers ----------------------------------------------------------------------------------
// Of a header that a handler asks for, the first with its name; of one that is no good, in the text
// that says so; of any text of a status. Beyond: it is cut.
inline constexpr size_t kMaxKeptHeaderBytes = 256;
inline constexpr size_t kMaxEchoedBytes = 200;
inline constexpr size_t kMaxStatusTextBytes = 4UL << 10;

// --- Connections ------------------------------------------------------------------------------
// Descriptors that clients leave to the rest of the process (etcd's number). Beyond: they wait in
// the kernel's backlog.
inline constexpr size_t kSpareDescriptors = 150;
// From one line in the log that clients wait for descriptors to the next.
inline constexpr std::chrono::minutes kAcceptComplaints{1};
// The same of handshakes that fail.
inline constexpr std::chrono::seconds kHandshakeComplaints{1};

}  // namespace jetd::rpc

#endif  // JETD_RPC_BOUNDS_H_
