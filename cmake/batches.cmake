# abyssal_batch(TARGET NAME FILE...) compiles the files of a target as one. Most of a small file's time is what headers bring:
# parsed once, and their templates instantiated once, eight files cost little more than one. The files of a batch share what
# they keep to themselves: two functions of one name in unnamed namespaces are an error of the compiler. A file that no batch
# names is compiled alone, as is one with options of its own.
# With -DABYSSAL_BATCHES=OFF each file is compiled alone, which is faster after a change to one.
option(ABYSSAL_BATCHES "Compile small files in batches" ON)

function(abyssal_batch target name)
  if(ABYSSAL_BATCHES)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
    # GCC knows a file's own types from those of a header by the file that it compiles, which is the batch.
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
    set_source_files_properties(${ARGN} PROPERTIES UNITY_GROUP ${name})
  endif()
endfunction()
