# `make install`: the program with the two libraries it loads, relocatable as one folder.
include(GNUInstallDirs)
install(TARGETS sluice RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(IMPORTED_RUNTIME_ARTIFACTS ArrowWheel::arrow DuckDB::duckdb LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
# They are found where the build has them, and beside the program once it is installed, wherever the folder is put. CMake would
# change the one path into the other by itself, but keeps room for that with an empty element, and that is the folder which
# somebody happens to be in.
file(RELATIVE_PATH _sluice_libraries "/${CMAKE_INSTALL_BINDIR}" "/${CMAKE_INSTALL_LIBDIR}")
set_target_properties(sluice PROPERTIES BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "${ARROW_WHEEL_DIR}/pyarrow;${DUCKDB_DIR}")
install(CODE "file(RPATH_CHANGE FILE \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/sluice\"
  OLD_RPATH \"${ARROW_WHEEL_DIR}/pyarrow:${DUCKDB_DIR}\" NEW_RPATH \"\\$ORIGIN/${_sluice_libraries}\")")
