# `make install`: the program with the two libraries it loads, relocatable as one folder.
include(GNUInstallDirs)
install(TARGETS sluice RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(IMPORTED_RUNTIME_ARTIFACTS ArrowWheel::arrow DuckDB::duckdb LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
