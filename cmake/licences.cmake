# The licences of what a binary package holds besides our own code, as one text. Sets ABYSSAL_LICENCES, the file, which the
# target abyssal_licences makes.
function(abyssal_collect_licences)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  set(file ${PROJECT_BINARY_DIR}/LICENSES.txt)
  set(script ${PROJECT_SOURCE_DIR}/cmake/licences.py)
  set(given "xxHash=${XXHASH_INCLUDE_DIR}/xxhash.h")
  if(DEFINED ABYSSAL_DNNL_RUNTIME)
    cmake_path(GET ABYSSAL_DNNL_RUNTIME PARENT_PATH dnnl_folder)
    file(GLOB dnnl_texts ${dnnl_folder}/../share/doc/onednn/LICENSE ${dnnl_folder}/../share/doc/onednn/THIRD-PARTY*)
    list(TRANSFORM dnnl_texts PREPEND oneDNN= OUTPUT_VARIABLE dnnl_texts)
    list(APPEND given ${dnnl_texts})
  endif()
  add_custom_command(
    OUTPUT ${file}
    COMMAND ${CMAKE_COMMAND} -E env CARGO=${ABYSSAL_CARGO} ${Python3_EXECUTABLE} ${script} ${given} > ${file}
    DEPENDS ${script} ${PROJECT_SOURCE_DIR}/lib/text/rust/Cargo.lock
            abyssal_text_rust_build # cargo has fetched the packages by then
    COMMENT "Collecting the licences of bundled parts"
    VERBATIM)
  add_custom_target(abyssal_licences ALL DEPENDS ${file})
  set(ABYSSAL_LICENCES ${file} PARENT_SCOPE)
endfunction()
