# The licences of what travels beside the module, for the package's folder of licences: the text that libabyssal's own build
# makes, and those of the libraries that are bundled afterwards.
if(ABYSSAL_PREBUILT)
  find_file(ABYSSAL_LICENCES LICENSES.txt PATHS ${ABYSSAL_PREBUILT} ${ABYSSAL_PREBUILT}/share/doc/abyssal REQUIRED
            NO_DEFAULT_PATH NO_CACHE)
else()
  set(ABYSSAL_LICENCES ${library_stage}/share/doc/abyssal/LICENSES.txt) # made with the library, before anything is installed
endif()
install(FILES ${ABYSSAL_LICENCES} DESTINATION ${SKBUILD_METADATA_DIR}/licenses COMPONENT python)
foreach(bundle IN LISTS ABYSSAL_BUNDLES)
  string(REGEX MATCH "^([^=]+)=(.+)$" whole ${bundle})
  install(FILES ${CMAKE_MATCH_2} DESTINATION ${SKBUILD_METADATA_DIR}/licenses RENAME LICENSE.${CMAKE_MATCH_1} COMPONENT python)
endforeach()
