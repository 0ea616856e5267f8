# The licences of what is built into libabyssal and travels beside the module, for the package's folder of licences.
# Collected when installing: by then cargo has fetched the crates.
if(EXISTS ${ABYSSAL_PREBUILT}/CMakeCache.txt) # the oneDNN that this build links
  load_cache(${ABYSSAL_PREBUILT} READ_WITH_PREFIX prebuilt_ dnnl_DIR)
  set(dnnl_folder ${prebuilt_dnnl_DIR})
else()
  find_package(dnnl 3.2 CONFIG QUIET HINTS ${abyssal_root}/.venv ${ABYSSAL_DNNL_ROOT})
  set(dnnl_folder ${dnnl_DIR})
endif()
file(GLOB licence_files ${dnnl_folder}/../../../share/doc/onednn/LICENSE
     ${dnnl_folder}/../../../share/doc/onednn/THIRD-PARTY-PROGRAMS)
list(TRANSFORM licence_files PREPEND oneDNN=)
list(APPEND licence_files ${ABYSSAL_BUNDLES})
if(ABYSSAL_BUNDLES AND NOT licence_files MATCHES oneDNN=)
  message(FATAL_ERROR "There is no licence of oneDNN near ${dnnl_folder}: add it to ABYSSAL_BUNDLES as oneDNN=FILE.")
endif()
list(TRANSFORM licence_files REPLACE "(.+)" "\"\\1\"")
list(JOIN licence_files " " licence_arguments)
find_program(ABYSSAL_CARGO cargo HINTS $ENV{CARGO_HOME}/bin $ENV{HOME}/.cargo/bin REQUIRED)
set(licences ${CMAKE_CURRENT_BINARY_DIR}/LICENSES.txt)
install(
  CODE "
  set(ENV{CARGO} \"${ABYSSAL_CARGO}\")
  execute_process(COMMAND \"${Python_EXECUTABLE}\" \"${abyssal_root}/cmake/licences.py\" ${licence_arguments}
                  OUTPUT_FILE \"${licences}\" COMMAND_ERROR_IS_FATAL ANY)"
  COMPONENT python)
install(FILES ${licences} DESTINATION ${SKBUILD_METADATA_DIR}/licenses COMPONENT python)
