# The static library: the objects of the shared one, joined by static_library.sh.
option(ABYSSAL_STATIC "Build the static library, libabyssal.a, too" OFF)

# Sets abyssal_static_links: what the system gives a program that links libabyssal.a, oneDNN apart. The compiler's driver
# brings libgcc and libc, for C as for C++, but not C++'s own library for C.
macro(abyssal_find_static_links)
  set(abyssal_static_links ${OpenMP_CXX_LIB_NAMES} ${CMAKE_CXX_IMPLICIT_LINK_LIBRARIES} m pthread dl)
  list(FILTER abyssal_static_links EXCLUDE REGEX "^(gcc|gcc_s|gcc_eh|c)$")
  list(REMOVE_DUPLICATES abyssal_static_links)
endmacro()

# abyssal_static and abyssal::abyssal_static, as CMake projects know an installed one. Further arguments: the targets of the
# archives that the shared library is linked from.
function(abyssal_static_library shared)
  execute_process(COMMAND ${CMAKE_LINKER} --help OUTPUT_VARIABLE linker_help ERROR_QUIET)
  if(NOT linker_help MATCHES "--force-group-allocation")
    message(FATAL_ERROR "ABYSSAL_STATIC needs a linker with --force-group-allocation, such as GNU ld 2.29 or later; "
                        "CMAKE_LINKER is ${CMAKE_LINKER}.")
  endif()
  set(script ${PROJECT_SOURCE_DIR}/cmake/static_library.sh)
  set(exports ${PROJECT_SOURCE_DIR}/cmake/abyssal.map)
  set(archive ${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/libabyssal.a)
  list(TRANSFORM ARGN REPLACE "(.+)" "$<TARGET_FILE:\\1>" OUTPUT_VARIABLE parts)
  add_custom_command(
    OUTPUT ${archive}
    COMMAND
      ${CMAKE_COMMAND} -E env CC=${CMAKE_C_COMPILER} LD=${CMAKE_LINKER} OBJCOPY=${CMAKE_OBJCOPY} READELF=${CMAKE_READELF}
      AR=${CMAKE_AR} KEEP_DEBUG=$<$<CONFIG:Debug>:1> bash ${script} ${exports} ${archive} $<TARGET_OBJECTS:${shared}> ${parts}
    DEPENDS ${script} ${exports} ${shared} $<TARGET_OBJECTS:${shared}> ${parts}
    COMMENT "Joining the static library lib/libabyssal.a"
    COMMAND_EXPAND_LISTS VERBATIM)
  add_custom_target(abyssal_static_build ALL DEPENDS ${archive})

  abyssal_find_static_links()
  add_library(abyssal_static STATIC IMPORTED GLOBAL)
  set_target_properties(abyssal_static PROPERTIES IMPORTED_LOCATION ${archive})
  target_compile_definitions(abyssal_static INTERFACE ABYSSAL_STATIC)
  target_include_directories(abyssal_static INTERFACE ${PROJECT_SOURCE_DIR}/include)
  target_link_libraries(abyssal_static INTERFACE abyssal_dnnl ${abyssal_static_links})
  add_dependencies(abyssal_static abyssal_static_build)
  add_library(abyssal::abyssal_static ALIAS abyssal_static)
endfunction()
