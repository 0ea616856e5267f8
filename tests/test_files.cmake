# What the folders of tests share. Entries with the label `threads` run under the thread sanitizer too.

# doctest's own code and its main, compiled once.
add_library(abyssal_test_main OBJECT ${CMAKE_CURRENT_LIST_DIR}/support/main.cpp)
target_link_libraries(abyssal_test_main PRIVATE abyssal_options)

# One ctest entry for each file of tests that a program is built from, NAME_FILE, so that `ctest -j` runs them beside each
# other. No file can be left out, and an entry that finds no test fails.
#   abyssal_add_test_files(NAME PROGRAM [FIRST FILE...] [LABELS LABEL...])
#     FIRST: the long ones, as foo for foo_test.cpp, with which `ctest -j` begins
function(abyssal_add_test_files name program)
  cmake_parse_arguments(PARSE_ARGV 2 given "" "" "FIRST;LABELS")
  get_target_property(sources ${program} SOURCES)
  foreach(source IN LISTS sources)
    if(source MATCHES "^([a-z0-9_]+)_test\\.cpp$")
      set(file ${CMAKE_MATCH_1})
      set(test ${name}_${file})
      add_test(NAME ${test} COMMAND ${program} --source-file=*/${source})
      set_tests_properties(${test} PROPERTIES FAIL_REGULAR_EXPRESSION "test cases: +0 " LABELS "${given_LABELS}")
      if(file IN_LIST given_FIRST)
        set_tests_properties(${test} PROPERTIES COST 100)
        list(REMOVE_ITEM given_FIRST ${file})
      endif()
    endif()
  endforeach()
  if(given_FIRST)
    message(FATAL_ERROR "${program} is built from no such files of tests: ${given_FIRST}")
  endif()
endfunction()

add_test(NAME steps COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/support/steps_test.sh)
