# `make install`: the program with the two libraries it loads, relocatable as one folder.
include(GNUInstallDirs)
install(TARGETS sluice RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(IMPORTED_RUNTIME_ARTIFACTS ArrowWheel::arrow DuckDB::duckdb LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
# They are found beside the program, wherever the folder is put.
file(RELATIVE_PATH _sluice_libraries "/${CMAKE_INSTALL_BINDIR}" "/${CMAKE_INSTALL_LIBDIR}")
set_target_properties(sluice PROPERTIES INSTALL_RPATH "$ORIGIN/${_sluice_libraries}")
