# Installs the library, the headers, and the files for find_package(ebb).
include(CMakePackageConfigHelpers)

install(TARGETS ebb EXPORT ebb-targets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${PROJECT_SOURCE_DIR}/ebb.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/ebb)
foreach(floor core autograd backends nn)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${floor} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/ebb
          FILES_MATCHING PATTERN "*.h")
endforeach()

set(EBB_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/ebb)
install(EXPORT ebb-targets NAMESPACE ebb:: DESTINATION ${EBB_CMAKE_DIR})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/ebb-config.cmake.in ${PROJECT_BINARY_DIR}/ebb-config.cmake
                              INSTALL_DESTINATION ${EBB_CMAKE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ebb-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ebb-config.cmake ${PROJECT_BINARY_DIR}/ebb-config-version.cmake
              ${PROJECT_SOURCE_DIR}/cmake/FindOneDNN.cmake
        DESTINATION ${EBB_CMAKE_DIR})
