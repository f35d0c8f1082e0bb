# SPDX-License-Identifier: Apache-2.0
# cmake -DIN=file -DOUT=file -DFROM=file -DTO=file -P replace.cmake: OUT is IN with what is in FROM,
# which should be there once, replaced by what is in TO; otherwise it is IN, with a warning.
file(READ "${IN}" text)
file(READ "${FROM}" from)
file(READ "${TO}" to)
string(FIND "${text}" "${from}" first)
string(FIND "${text}" "${from}" last REVERSE)
if(first EQUAL -1 OR NOT first EQUAL last)
  message(WARNING "${IN} does not have exactly one \"${from}\": give this mutant a new place")
else()
  string(REPLACE "${from}" "${to}" text "${text}")
endif()
file(WRITE "${OUT}" "${text}")
