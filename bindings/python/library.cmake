# Builds libabyssal from the repository's top, without tests and examples, and puts the files that its sonames need
# beside the module. A wheel holds no links: each library is one file, named as its soname.
include(ExternalProject)

set(library_stage ${CMAKE_CURRENT_BINARY_DIR}/library)
string(REPLACE ";" "|" prefix_path "${CMAKE_PREFIX_PATH}")
set(passed_on -DCMAKE_PREFIX_PATH=${prefix_path})
foreach(name CMAKE_CXX_COMPILER CMAKE_CXX_FLAGS CMAKE_C_COMPILER CMAKE_C_FLAGS CMAKE_MAKE_PROGRAM ABYSSAL_CARGO
        ABYSSAL_DNNL_ROOT ABYSSAL_RUST_TARGET dnnl_DIR CMAKE_C_COMPILER_LAUNCHER CMAKE_CXX_COMPILER_LAUNCHER)
  if(${name})
    list(APPEND passed_on -D${name}=${${name}})
  endif()
endforeach()

ExternalProject_Add(
  abyssal_build
  SOURCE_DIR ${abyssal_root}
  BINARY_DIR ${CMAKE_CURRENT_BINARY_DIR}/library_build
  LIST_SEPARATOR |
  CMAKE_ARGS -DCMAKE_BUILD_TYPE=RelWithDebInfo # as the tests run it; stripped below
             -DCMAKE_INSTALL_LIBDIR=lib
             -DABYSSAL_TESTS=OFF
             -DABYSSAL_EXAMPLES=OFF
             ${passed_on}
  BUILD_COMMAND ${CMAKE_COMMAND} --build <BINARY_DIR> --target abyssal
  INSTALL_COMMAND ${CMAKE_COMMAND} --install <BINARY_DIR> --prefix ${library_stage} --component library --strip
  BUILD_BYPRODUCTS ${library_stage}/lib/libabyssal.so
  BUILD_ALWAYS ON
  USES_TERMINAL_BUILD ON)
set_target_properties(abyssal_library PROPERTIES IMPORTED_LOCATION ${library_stage}/lib/libabyssal.so)

# The stage is complete only after the build, so its files are found when installing: the links that are named as
# sonames (libx.so.1), and what they point at.
install(
  CODE "
  file(GLOB libraries LIST_DIRECTORIES false \"${library_stage}/lib/lib*.so.*\")
  foreach(library IN LISTS libraries)
    if(library MATCHES \"[.]so[.][0-9]+$\")
      get_filename_component(name \${library} NAME)
      file(REAL_PATH \${library} real)
      file(INSTALL \${real} DESTINATION \${CMAKE_INSTALL_PREFIX}/abyssal RENAME \${name} USE_SOURCE_PERMISSIONS)
    endif()
  endforeach()"
  COMPONENT python)
