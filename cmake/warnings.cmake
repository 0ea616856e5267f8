# The compile settings shared by every target of the project.
add_library(abyssal_options INTERFACE)
target_include_directories(abyssal_options INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/lib
                                                     ${CMAKE_SOURCE_DIR}/include)
target_compile_options(abyssal_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
                                                 -Werror -ffp-contract=off)
# Functions and lines are what a trace of an optimised build can show; types and variables take a fifth of the time to compile.
# The public library's own files keep them, for tests/abi.
target_compile_options(
  abyssal_options
  INTERFACE $<$<AND:$<CONFIG:RelWithDebInfo>,$<NOT:$<STREQUAL:$<TARGET_PROPERTY:NAME>,abyssal>>>:-g1>)
if(ABYSSAL_SANITIZE)
  # Warnings are the other builds' to give: instrumented code sets off false ones.
  target_compile_options(abyssal_options INTERFACE -fsanitize=${ABYSSAL_SANITIZE} -fno-omit-frame-pointer
                                                   -fno-sanitize-recover=all -w)
  target_link_options(abyssal_options INTERFACE -fsanitize=${ABYSSAL_SANITIZE})
endif()
