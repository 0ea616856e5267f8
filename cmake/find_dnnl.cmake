# oneDNN 3.2 or later with a CPU runtime: one of the system, of CMAKE_PREFIX_PATH, or of the project's own environment,
# as the target abyssal_dnnl. Its include folders count as the system's, so that our warnings are about our code.
if(NOT TARGET abyssal_dnnl)
  find_package(dnnl 3.2 CONFIG QUIET HINTS ${PROJECT_SOURCE_DIR}/.venv ${ABYSSAL_DNNL_ROOT})
  if(NOT dnnl_FOUND)
    message(FATAL_ERROR "oneDNN 3.2 or later was not found. Run cmake/setup.sh, which installs it into .venv, "
                        "or give its place with -DABYSSAL_DNNL_ROOT=/path/to/prefix.")
  endif()
  add_library(abyssal_dnnl INTERFACE)
  target_link_libraries(abyssal_dnnl INTERFACE DNNL::dnnl)
  get_target_property(dnnl_includes DNNL::dnnl INTERFACE_INCLUDE_DIRECTORIES)
  target_include_directories(abyssal_dnnl SYSTEM INTERFACE ${dnnl_includes})

  # What travels with an installed library: the file that the loader asks for, unless the system provides it.
  get_target_property(dnnl_file DNNL::dnnl IMPORTED_LOCATION_RELEASE)
  get_target_property(dnnl_soname DNNL::dnnl IMPORTED_SONAME_RELEASE)
  if(dnnl_file AND dnnl_soname AND NOT dnnl_file MATCHES "^/(usr/)?lib")
    get_filename_component(dnnl_folder ${dnnl_file} DIRECTORY)
    set(ABYSSAL_DNNL_RUNTIME ${dnnl_folder}/${dnnl_soname} CACHE INTERNAL "oneDNN's shared library")
  endif()
endif()
