# What `cmake --install` puts where. Users see one library, instar::instar for CMake and `instar` for pkg-config, with
# headers as #include <instar/instar.h> and annotations as import "/instar/schema.capnp".
include(CMakePackageConfigHelpers)
set(header_folder ${CMAKE_INSTALL_INCLUDEDIR}/instar)
set(config_folder ${CMAKE_INSTALL_LIBDIR}/cmake/instar)

foreach(layer format evolve engine)
  get_target_property(headers instar_${layer} HEADER_SET)
  foreach(header IN LISTS headers)
    cmake_path(ABSOLUTE_PATH header BASE_DIRECTORY ${PROJECT_SOURCE_DIR}/${layer})
    install(FILES ${header} DESTINATION ${header_folder}/${layer})
  endforeach()
endforeach()
install(FILES ${PROJECT_SOURCE_DIR}/engine/instar.h ${PROJECT_SOURCE_DIR}/evolve/schema.capnp
  ${PROJECT_BINARY_DIR}/evolve/generated/instar_evolve/instar/schema.capnp.h
  DESTINATION ${header_folder})

install(TARGETS instar_library EXPORT instar-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT instar-targets FILE instarTargets.cmake NAMESPACE instar:: DESTINATION ${config_folder})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/instarConfig.cmake.in
  ${PROJECT_BINARY_DIR}/instarConfig.cmake
  INSTALL_DESTINATION ${config_folder} PATH_VARS CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/instarConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/instarConfig.cmake ${PROJECT_BINARY_DIR}/instarConfigVersion.cmake
  DESTINATION ${config_folder})

# The prefix is found from where the .pc file lies, so that the installed tree can be moved.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX
  BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig OUTPUT_VARIABLE prefix_from_pkgconfig)
configure_file(${CMAKE_CURRENT_LIST_DIR}/instar.pc.in ${PROJECT_BINARY_DIR}/instar.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/instar.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(INSTAR_BUILD_TOOLS)
  install(TARGETS instar RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
