# Installs the library, the headers, the files for find_package(ebb) and pkg-config, the documentation, and the sources of the
# examples, each as a component: runtime, dev, doc and examples.
include(CMakePackageConfigHelpers)

install(TARGETS ebb EXPORT ebb-targets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT dev
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev)
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME dev)
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

# pkg-config. A file in a folder below the prefix finds the prefix by its own place, so that the installation can be moved.
cmake_path(IS_ABSOLUTE CMAKE_INSTALL_LIBDIR absolute)
if(absolute)
  set(EBB_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
  set(EBB_PC_LIBDIR ${CMAKE_INSTALL_LIBDIR})
else()
  cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig OUTPUT_VARIABLE up)
  set(EBB_PC_PREFIX "\${pcfiledir}/${up}")
  set(EBB_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
cmake_path(IS_ABSOLUTE CMAKE_INSTALL_INCLUDEDIR absolute)
if(absolute)
  set(EBB_PC_INCLUDEDIR ${CMAKE_INSTALL_INCLUDEDIR})
else()
  set(EBB_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
set(EBB_PC_CFLAGS "-std=c++20 -fno-math-errno -fno-trapping-math")
set(libraries ${OpenMP_CXX_FLAGS})
if(EBB_ONEDNN)
  cmake_path(GET OneDNN_LIBRARY PARENT_PATH folder)
  if(NOT folder IN_LIST CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES)
    string(APPEND libraries " -L${folder}")
  endif()
  string(APPEND libraries " -ldnnl")
endif()
string(APPEND libraries " -lz")
if(EBB_WITH_CUDA)
  string(APPEND libraries " -L${CUDAToolkit_LIBRARY_DIR} -lcudart_static -lrt -ldl")
endif()
set(EBB_PC_LIBS "")
set(EBB_PC_LIBS_PRIVATE "")
if(BUILD_SHARED_LIBS)
  set(EBB_PC_LIBS_PRIVATE " ${libraries}")
else()
  set(EBB_PC_LIBS " ${libraries}")  # a static library alone: users need no --static
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/ebb.pc.in ${PROJECT_BINARY_DIR}/ebb.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/ebb.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR}
        COMPONENT doc)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/docs DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT doc
        PATTERN "mutation-survivors*" EXCLUDE)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/examples ${PROJECT_SOURCE_DIR}/data DESTINATION ${CMAKE_INSTALL_DATADIR}/ebb
        COMPONENT examples)

if(EBB_PACKAGES)
  include(EbbPackages)
endif()
