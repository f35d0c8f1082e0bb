// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BASE_TESTING_FREE_PORT_H_
#define JETD_BASE_TESTING_FREE_PORT_H_

namespace jetd {

// A port of 127.0.0.1 for a server that is started a little later: nobody has it now, and nobody
// else who asks here is given it while this process lives, nor is conformance/ports.py. It is not
// one of those that the system gives to whoever asks for any (clients, servers on port 0), for one
// of these would now and then be gone before the server is there, or while it is started again. Any
// thread. Each keeps a descriptor open.
[[nodiscard]] int FreePort();

}  // namespace jetd

#endif  // JETD_BASE_TESTING_FREE_PORT_H_
