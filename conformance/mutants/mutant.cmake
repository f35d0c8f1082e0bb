# SPDX-License-Identifier: Apache-2.0
# jetd with one statement changed, for the test that a suite says so. The changed file's object
# takes the place of the one in its library. Where that statement is gone, since jetd has changed,
# the build warns and the test fails: give the mutant another.
#
# jetd_mutant(NAME name FILE path FROM text TO text): the program jetd_<name>.
set(JETD_MUTANT_REPLACE "${CMAKE_CURRENT_LIST_DIR}/replace.cmake")

function(jetd_mutant)
  cmake_parse_arguments(PARSE_ARGV 0 A "" "NAME;FILE;FROM;TO" "")
  get_filename_component(base "${A_FILE}" NAME)
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/${A_NAME}")
  set(changed "${folder}/${base}")
  file(CONFIGURE OUTPUT "${folder}/from" CONTENT "${A_FROM}" @ONLY)
  file(CONFIGURE OUTPUT "${folder}/to" CONTENT "${A_TO}" @ONLY)
  add_custom_command(
    OUTPUT "${changed}"
    COMMAND "${CMAKE_COMMAND}" "-DIN=${CMAKE_SOURCE_DIR}/${A_FILE}" "-DOUT=${changed}"
            "-DFROM=${folder}/from" "-DTO=${folder}/to" -P "${JETD_MUTANT_REPLACE}"
    DEPENDS "${CMAKE_SOURCE_DIR}/${A_FILE}" "${folder}/from" "${folder}/to"
            "${JETD_MUTANT_REPLACE}"
    VERBATIM)
  add_executable(jetd_${A_NAME} "${changed}" $<TARGET_OBJECTS:jetd>)
  target_include_directories(jetd_${A_NAME} PRIVATE "${CMAKE_SOURCE_DIR}")
  target_link_libraries(jetd_${A_NAME} PRIVATE $<TARGET_PROPERTY:jetd,LINK_LIBRARIES>)
endfunction()
