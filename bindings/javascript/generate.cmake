# What is made from the interface file and the C headers. SWIG comes from the project's Python environment, Node-API's
# headers from node_modules beside this file: cmake/setup.sh installs both. Sets node_made and node_headers.
cmake_path(SET abyssal_root NORMALIZE ${CMAKE_CURRENT_SOURCE_DIR}/../..)
find_program(ABYSSAL_SWIG swig HINTS ${abyssal_root}/.venv/bin)
find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)
set(ABYSSAL_NODE_MODULES ${CMAKE_CURRENT_SOURCE_DIR}/node_modules CACHE PATH "Folder with node-addon-api")
set(node_headers ${ABYSSAL_NODE_MODULES}/node-addon-api ${ABYSSAL_NODE_MODULES}/node-api-headers/include)
if(NOT ABYSSAL_SWIG OR NOT EXISTS ${ABYSSAL_NODE_MODULES}/node-addon-api/napi.h)
  message(FATAL_ERROR "SWIG, or the npm package node-addon-api, was not found. Run cmake/setup.sh, which installs both.")
endif()

set(node_made ${CMAKE_CURRENT_BINARY_DIR}/made)
set(c_headers ${abyssal_include}/abyssal/abyssal.h ${abyssal_include}/abyssal/ops.h)
file(MAKE_DIRECTORY ${node_made})
add_custom_command(
  OUTPUT ${node_made}/struct_fields.h ${node_made}/structs.d.ts
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/generate/structs.py ${c_headers} --fields
          ${node_made}/struct_fields.h --types ${node_made}/structs.d.ts
  DEPENDS generate/structs.py ${c_headers}
  VERBATIM)
add_custom_command(
  OUTPUT ${node_made}/abyssal_wrap.cpp
  COMMAND ${ABYSSAL_SWIG} -javascript -napi -c++ -Wall -Werror -o ${node_made}/abyssal_wrap.cpp
          ${CMAKE_CURRENT_SOURCE_DIR}/abyssal.i
  DEPENDS abyssal.i
  VERBATIM)
add_custom_target(node_generated DEPENDS ${node_made}/struct_fields.h ${node_made}/abyssal_wrap.cpp)
