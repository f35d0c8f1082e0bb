# SPDX-License-Identifier: Apache-2.0
# Programs the tests run: given by the caller, or found where tools/setup has put them. An empty
# path means that the program is not there, and tests that need it skip with one line.
function(jetd_tool variable name)
  set(found "$ENV{${variable}}")
  if(NOT found AND EXISTS "${CMAKE_SOURCE_DIR}/tools/prefix")
    execute_process(COMMAND "${CMAKE_SOURCE_DIR}/tools/prefix" ${name}
                    OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
  if(NOT ${variable})
    set(${variable} "${found}" CACHE FILEPATH "Path of ${name}" FORCE)
  endif()
endfunction()

jetd_tool(JETD_NATS_SERVER nats-server)
jetd_tool(JETD_NATS_SERVER_2_10 nats-server-2.10)
jetd_tool(JETD_NATS_SERVER_2_9 nats-server-2.9)
jetd_tool(JETD_ETCD etcd)
jetd_tool(JETD_ETCDCTL etcdctl)
jetd_tool(JETD_ETCDUTL etcdutl)

set(JETD_TEST_ENVIRONMENT
    "JETD_NATS_SERVER=${JETD_NATS_SERVER}"
    "JETD_NATS_SERVER_2_10=${JETD_NATS_SERVER_2_10}"
    "JETD_NATS_SERVER_2_9=${JETD_NATS_SERVER_2_9}"
    "JETD_ETCD=${JETD_ETCD}"
    "JETD_ETCDCTL=${JETD_ETCDCTL}"
    "JETD_ETCDUTL=${JETD_ETCDUTL}")
