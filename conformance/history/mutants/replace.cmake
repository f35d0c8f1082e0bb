# SPDX-License-Identifier: Apache-2.0
# cmake -DIN=file -DOUT=file -DFROM=file -DTO=file -P replace.cmake: OUT is IN with what is in FROM,
# which must be there once, replaced by what is in TO.
file(READ "${IN}" text)
file(READ "${FROM}" from)
file(READ "${TO}" to)
string(FIND "${text}" "${from}" first)
string(FIND "${text}" "${from}" last REVERSE)
if(first EQUAL -1 OR NOT first EQUAL last)
  message(FATAL_ERROR "${IN} does not have exactly one \"${from}\": give this mutant a new place")
endif()
string(REPLACE "${from}" "${to}" text "${text}")
file(WRITE "${OUT}" "${text}")
