# SPDX-License-Identifier: Apache-2.0
# How rooms declare what they build.
#
#   jetd_library(NAME revision SRCS store.cc HDRS store.h DEPS base jetstream)
#   jetd_binary(NAME jetd SRCS main.cc DEPS etcdapi)
#   jetd_test(NAME store_test SRCS store_test.cc DEPS revision LABELS nats [TIMEOUT 300])
#   jetd_program_test(NAME crash_short PROGRAM crash TIMEOUT 600 LABELS nats ARGS --seed 2)
#   jetd_benchmark(NAME store_benchmark SRCS store_benchmark.cc DEPS revision)
#   jetd_fuzzer(NAME subject_fuzz SRCS subject_fuzz.cc DEPS jetstream)
#   jetd_proto_library(NAME etcdpb GRPC_NAME etcdpb_grpc PROTOS kv.proto rpc.proto)
#
# Test labels: `threads` for tests that start threads (what the tsan run takes), `nats` and `etcd`
# for tests that start those programs, `slow` for what does not belong into the fast set.
# jetd_check_arrows(), called last, compares every DEPS with the arrows of docs/ARCHITECTURE.md.

function(jetd_room_of_here out)
  file(RELATIVE_PATH path "${CMAKE_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}")
  string(REGEX REPLACE "/.*" "" room "${path}")
  set(${out} "${room}" PARENT_SCOPE)
endfunction()

function(jetd_set_up_target name)
  jetd_room_of_here(room)
  target_include_directories(${name} PRIVATE "${CMAKE_SOURCE_DIR}")
  target_compile_options(${name} PRIVATE ${JETD_WARNINGS})
  set_target_properties(${name} PROPERTIES JETD_ROOM "${room}" JETD_DEPS "${ARGN}")
  set_property(GLOBAL APPEND PROPERTY JETD_TARGETS ${name})
endfunction()

function(jetd_library)
  cmake_parse_arguments(PARSE_ARGV 0 A "" "NAME" "SRCS;HDRS;DEPS")
  if(A_SRCS)
    add_library(${A_NAME} STATIC ${A_SRCS} ${A_HDRS})
    target_link_libraries(${A_NAME} PUBLIC ${A_DEPS} Threads::Threads)
    jetd_set_up_target(${A_NAME} ${A_DEPS})
  else()
    add_library(${A_NAME} INTERFACE ${A_HDRS})
    target_link_libraries(${A_NAME} INTERFACE ${A_DEPS})
  endif()
endfunction()

function(jetd_binary)
  cmake_parse_arguments(PARSE_ARGV 0 A "" "NAME" "SRCS;DEPS")
  add_executable(${A_NAME} ${A_SRCS})
  target_link_libraries(${A_NAME} PRIVATE ${A_DEPS} Threads::Threads)
  jetd_set_up_target(${A_NAME} ${A_DEPS})
endfunction()

string(CONCAT JETD_TSAN_ENVIRONMENT "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:"
       "suppressions=${CMAKE_SOURCE_DIR}/tools/tsan.supp")

# All that the tsan run takes, so that it need not build the rest.
add_custom_target(threads_tests)

function(jetd_test)
  cmake_parse_arguments(PARSE_ARGV 0 A "" "NAME;TIMEOUT" "SRCS;DEPS;LABELS")
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 300)
  endif()
  if(JETD_SANITIZE)
    math(EXPR A_TIMEOUT "4 * ${A_TIMEOUT}")
  endif()
  add_executable(${A_NAME} ${A_SRCS})
  target_link_libraries(${A_NAME} PRIVATE ${A_DEPS} dep::gtest_main Threads::Threads)
  jetd_set_up_target(${A_NAME} ${A_DEPS})
  add_test(NAME ${A_NAME} COMMAND ${A_NAME})
  jetd_room_of_here(room)
  set(environment ${JETD_TEST_ENVIRONMENT})
  if(JETD_SANITIZE MATCHES "thread")
    list(APPEND environment "${JETD_TSAN_ENVIRONMENT}")
  endif()
  if("threads" IN_LIST A_LABELS)
    add_dependencies(threads_tests ${A_NAME})
  endif()
  set_tests_properties(${A_NAME} PROPERTIES TIMEOUT ${A_TIMEOUT} LABELS "${room};${A_LABELS}"
                       ENVIRONMENT "${environment}")
endfunction()

# A program that runs jetd or etcd as a test: JETD_BIN names jetd; exit code 77 says that something
# it needs is not there. PROGRAM is a target or a script. All have the label `threads`: jetd starts
# some, and so do the programs, to be many clients.
function(jetd_program_test)
  cmake_parse_arguments(PARSE_ARGV 0 A "" "NAME;PROGRAM;TIMEOUT"
                        "ARGS;ENVIRONMENT;LABELS")
  set(environment ${JETD_TEST_ENVIRONMENT} ${A_ENVIRONMENT})
  if(JETD_SANITIZE MATCHES "thread")
    list(APPEND environment "${JETD_TSAN_ENVIRONMENT}")
  endif()
  if(TARGET jetd)
    list(APPEND environment "JETD_BIN=$<TARGET_FILE:jetd>")
    add_dependencies(threads_tests jetd)
  endif()
  if(TARGET ${A_PROGRAM})
    add_dependencies(threads_tests ${A_PROGRAM})
  endif()
  jetd_room_of_here(room)
  add_test(NAME ${A_NAME} COMMAND ${A_PROGRAM} ${A_ARGS})
  set_tests_properties(${A_NAME} PROPERTIES TIMEOUT ${A_TIMEOUT} SKIP_RETURN_CODE 77
                       LABELS "${room};threads;${A_LABELS}" ENVIRONMENT "${environment}")
endfunction()

# Every benchmark by itself, `micro` builds them all; bench/micro runs them.
add_custom_target(micro)

function(jetd_benchmark)
  cmake_parse_arguments(PARSE_ARGV 0 A "" "NAME" "SRCS;DEPS")
  add_executable(${A_NAME} ${A_SRCS})
  target_link_libraries(${A_NAME} PRIVATE ${A_DEPS} dep::benchmark)
  add_dependencies(micro ${A_NAME})
  jetd_set_up_target(${A_NAME} ${A_DEPS})
endfunction()

# A fuzzer is built in every preset, so that it cannot rot: with JETD_FUZZ by libFuzzer, otherwise
# as a test that runs the committed corpus (folder <name>_corpus beside it) once.
function(jetd_fuzzer)
  cmake_parse_arguments(PARSE_ARGV 0 A "" "NAME" "SRCS;DEPS")
  add_executable(${A_NAME} ${A_SRCS})
  target_link_libraries(${A_NAME} PRIVATE ${A_DEPS})
  if(JETD_FUZZ)
    target_link_options(${A_NAME} PRIVATE -fsanitize=fuzzer)
  else()
    target_link_libraries(${A_NAME} PRIVATE fuzz_main)
    add_test(NAME ${A_NAME} COMMAND ${A_NAME} "${CMAKE_CURRENT_SOURCE_DIR}/${A_NAME}_corpus")
    jetd_room_of_here(room)
    set_tests_properties(${A_NAME} PROPERTIES TIMEOUT 120 LABELS "${room}")
  endif()
  jetd_set_up_target(${A_NAME} ${A_DEPS})
endfunction()

# Messages go into target NAME; services, which need grpcpp, into the target GRPC_NAME of its own,
# which only etcdclient, and tests of etcdapi and rpc, may link. Included as "<room>/<path>.pb.h".
function(jetd_proto_library)
  cmake_parse_arguments(PARSE_ARGV 0 A "" "NAME;GRPC_NAME" "PROTOS;DEPS")
  set(out "${CMAKE_BINARY_DIR}/generated")
  file(MAKE_DIRECTORY "${out}")
  file(RELATIVE_PATH here "${CMAKE_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}")
  foreach(proto IN LISTS A_PROTOS)
    string(REGEX REPLACE "\\.proto$" "" stem "${here}/${proto}")
    set(messages "${out}/${stem}.pb.cc" "${out}/${stem}.pb.h")
    set(services "${out}/${stem}.grpc.pb.cc" "${out}/${stem}.grpc.pb.h")
    add_custom_command(
      OUTPUT ${messages}
      COMMAND ${JETD_PROTOC} -I "${CMAKE_SOURCE_DIR}" -I /usr/include --cpp_out "${out}"
              "${CMAKE_SOURCE_DIR}/${stem}.proto"
      DEPENDS "${CMAKE_SOURCE_DIR}/${stem}.proto"
      VERBATIM)
    add_custom_command(
      OUTPUT ${services}
      COMMAND ${JETD_PROTOC} -I "${CMAKE_SOURCE_DIR}" -I /usr/include --grpc_out "${out}"
              "--plugin=protoc-gen-grpc=${JETD_GRPC_CPP_PLUGIN}"
              "${CMAKE_SOURCE_DIR}/${stem}.proto"
      DEPENDS "${CMAKE_SOURCE_DIR}/${stem}.proto"
      VERBATIM)
    list(APPEND all_messages ${messages})
    list(APPEND all_services ${services})
  endforeach()
  add_library(${A_NAME} STATIC ${all_messages})
  target_include_directories(${A_NAME} SYSTEM PUBLIC "${out}")
  target_link_libraries(${A_NAME} PUBLIC dep::protobuf ${A_DEPS})
  target_compile_options(${A_NAME} PRIVATE -w)
  jetd_room_of_here(room)
  set_target_properties(${A_NAME} PROPERTIES JETD_ROOM "${room}")
  if(A_GRPC_NAME)
    add_library(${A_GRPC_NAME} STATIC ${all_services})
    target_include_directories(${A_GRPC_NAME} SYSTEM PUBLIC "${out}")
    target_link_libraries(${A_GRPC_NAME} PUBLIC ${A_NAME} dep::grpcpp)
    target_compile_options(${A_GRPC_NAME} PRIVATE -w)
    set_target_properties(${A_GRPC_NAME} PROPERTIES JETD_ROOM "${room}" JETD_NEEDS_GRPCPP ON)
  endif()
endfunction()

# Which rooms a room may link: JETD_ARROWS_<room>, read from the table that tools/check_arrows uses.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tools/arrows")
file(STRINGS "${CMAKE_SOURCE_DIR}/tools/arrows" arrow_lines REGEX "^[a-z]")
foreach(line IN LISTS arrow_lines)
  string(REGEX MATCH "^[a-z]+" room "${line}")
  string(REGEX MATCHALL "[a-z]+" JETD_ARROWS_${room} "${line}")
endforeach()

function(jetd_check_arrows)
  get_property(targets GLOBAL PROPERTY JETD_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(room ${target} JETD_ROOM)
    get_target_property(deps ${target} JETD_DEPS)
    foreach(dep IN LISTS deps)
      if(dep STREQUAL "dep::nats" AND NOT room STREQUAL "jetstream")
        message(SEND_ERROR "arrows: ${target} (${room}) links nats.c; only jetstream may")
      endif()
      if(dep STREQUAL "dep::nghttp2" AND NOT room STREQUAL "rpc")
        message(SEND_ERROR "arrows: ${target} (${room}) links nghttp2; only rpc may")
      endif()
      if(NOT TARGET ${dep})
        continue()
      endif()
      get_target_property(grpc ${dep} JETD_NEEDS_GRPCPP)
      # gRPC's own client is what tests of the server speak with.
      if((grpc OR dep MATCHES "^dep::grpcpp") AND NOT room STREQUAL "etcdclient" AND
         NOT "${room}/${target}" MATCHES "^(etcdapi|rpc)/.*_test(ing)?$")
        message(SEND_ERROR
                "arrows: ${target} (${room}) links grpcpp; only etcdclient and tests may")
      endif()
      get_target_property(dep_room ${dep} JETD_ROOM)
      if(dep_room AND NOT dep_room IN_LIST JETD_ARROWS_${room})
        message(SEND_ERROR "arrows: ${target} (${room}) links ${dep} of ${dep_room}")
      endif()
    endforeach()
  endforeach()
endfunction()
