# SPDX-License-Identifier: Apache-2.0
# Language level, warnings, hardening, sanitizers and ccache, for every target of the tree.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

set(JETD_SANITIZE "" CACHE STRING "Comma-separated sanitizers: address,undefined or thread")
option(JETD_FUZZ "Build the libFuzzer targets (clang only)" OFF)

# Paths below the source tree, or below its parent where the build folder is beside it, are hashed
# as relative ones, so that clones share the cache.
find_program(JETD_CCACHE ccache)
if(JETD_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(shared "${CMAKE_SOURCE_DIR}")
  cmake_path(IS_PREFIX shared "${CMAKE_BINARY_DIR}" inside)
  if(NOT inside)
    cmake_path(GET shared PARENT_PATH shared)
  endif()
  set(launcher env "CCACHE_BASEDIR=${shared}" CCACHE_NOHASHDIR=1 "${JETD_CCACHE}")
  set(CMAKE_C_COMPILER_LAUNCHER "${launcher}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${launcher}")
endif()

# Ours, not generated code: jetd_library and jetd_test add these to their own targets.
# A designated initializer leaves fields out on purpose: gcc 12 warns of that in C++, clang not.
set(JETD_WARNINGS -Wall -Wextra -Werror -Wnon-virtual-dtor -Woverloaded-virtual -Wvla
                  -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  list(APPEND JETD_WARNINGS -Wthread-safety -Wshadow-uncaptured-local -Wextra-semi)
  # C++14's sized operator delete, which gcc has on by default.
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fsized-deallocation>)
elseif(JETD_SANITIZE)
  # With a sanitizer's checks in between, gcc 12 takes its own library's values for uninitialized.
  list(APPEND JETD_WARNINGS -Wno-maybe-uninitialized)
endif()

add_compile_options(-fno-omit-frame-pointer -fstack-protector-strong)

if(JETD_SANITIZE)
  add_compile_options(-fsanitize=${JETD_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${JETD_SANITIZE})
  if(JETD_SANITIZE MATCHES "thread")
    add_compile_definitions(JETD_TSAN=1)
    add_link_options("-Wl,--version-script=${CMAKE_SOURCE_DIR}/tools/tsan.map")
  endif()
endif()
if(JETD_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
endif()
