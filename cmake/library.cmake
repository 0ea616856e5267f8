# How libabyssal is linked, installed and found again.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
include(${CMAKE_CURRENT_LIST_DIR}/licences.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/static_library.cmake)

# Exports only the API, resolves everything at link time, and finds its dependencies beside itself.
function(abyssal_finish_library target)
  set_target_properties(
    ${target}
    PROPERTIES VERSION ${PROJECT_VERSION}
               SOVERSION ${PROJECT_VERSION_MAJOR}
               LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/abyssal.map
               INSTALL_RPATH "$ORIGIN")
  target_link_options(
    ${target} PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/abyssal.map -Wl,--exclude-libs,ALL
    -Wl,--gc-sections)
  if(NOT ABYSSAL_SANITIZE) # the sanitizers' runtime is found in the program
    target_link_options(${target} PRIVATE -Wl,-z,defs)
  endif()
  target_include_directories(
    ${target} INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  add_library(abyssal::abyssal ALIAS ${target})
  abyssal_install_library(${target})
endfunction()

function(abyssal_install_library target)
  install(
    TARGETS ${target}
    EXPORT abyssal-targets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
  set(ABYSSAL_DNNL_NAME "")
  if(DEFINED ABYSSAL_DNNL_RUNTIME) # a oneDNN of our own environment travels with the library
    install(FILES ${ABYSSAL_DNNL_RUNTIME} DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
    cmake_path(GET ABYSSAL_DNNL_RUNTIME FILENAME ABYSSAL_DNNL_NAME)
  endif()
  abyssal_collect_licences()
  add_dependencies(${target} abyssal_licences) # they are part of the library's component
  install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${ABYSSAL_LICENCES} DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT library)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/abyssal DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)

  set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/abyssal)
  install(
    EXPORT abyssal-targets
    NAMESPACE abyssal::
    DESTINATION ${package_dir}
    COMPONENT development)
  configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/abyssalConfig.cmake.in
                                ${PROJECT_BINARY_DIR}/abyssalConfig.cmake INSTALL_DESTINATION ${package_dir})
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/abyssalConfigVersion.cmake COMPATIBILITY SameMinorVersion)
  install(
    FILES ${PROJECT_BINARY_DIR}/abyssalConfig.cmake ${PROJECT_BINARY_DIR}/abyssalConfigVersion.cmake
    DESTINATION ${package_dir}
    COMPONENT development)

  # pkg-config finds the prefix from the file's own place, so that the installation can be moved.
  file(RELATIVE_PATH ABYSSAL_PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  string(REGEX REPLACE "/$" "" ABYSSAL_PC_PREFIX ${ABYSSAL_PC_PREFIX})
  set(packages abyssal)
  set(ABYSSAL_PC_LINKS "")
  if(ABYSSAL_STATIC)
    list(APPEND packages abyssal-static)
    abyssal_find_static_links()
    list(TRANSFORM abyssal_static_links PREPEND -l OUTPUT_VARIABLE links)
    if(ABYSSAL_DNNL_NAME)
      list(PREPEND links -l:${ABYSSAL_DNNL_NAME})
    else()
      list(PREPEND links -ldnnl)
    endif()
    list(JOIN links " " ABYSSAL_PC_LINKS)

    configure_file(${PROJECT_SOURCE_DIR}/cmake/static_targets.cmake.in ${PROJECT_BINARY_DIR}/abyssal-static.cmake @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/abyssal-static.cmake DESTINATION ${package_dir} COMPONENT development)
    install(FILES $<TARGET_FILE:abyssal_static> DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
  endif()
  foreach(package IN LISTS packages)
    configure_file(${PROJECT_SOURCE_DIR}/cmake/${package}.pc.in ${PROJECT_BINARY_DIR}/${package}.pc @ONLY)
    install(
      FILES ${PROJECT_BINARY_DIR}/${package}.pc
      DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
      COMPONENT development)
  endforeach()
endfunction()
