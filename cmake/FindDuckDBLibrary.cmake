# libduckdb.so and duckdb.h in DUCKDB_DIR. Defines DuckDB::duckdb.
find_path(DuckDBLibrary_INCLUDE_DIR duckdb.h PATHS "${DUCKDB_DIR}/include" NO_DEFAULT_PATH)
find_file(DuckDBLibrary_LIBRARY libduckdb.so PATHS "${DUCKDB_DIR}" NO_DEFAULT_PATH)
if(DuckDBLibrary_LIBRARY AND NOT TARGET DuckDB::duckdb)
  add_library(DuckDB::duckdb SHARED IMPORTED)
  set_target_properties(DuckDB::duckdb PROPERTIES
    IMPORTED_LOCATION "${DuckDBLibrary_LIBRARY}"
    IMPORTED_SONAME libduckdb.so
    INTERFACE_INCLUDE_DIRECTORIES "${DuckDBLibrary_INCLUDE_DIR}"
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${DuckDBLibrary_INCLUDE_DIR}")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(DuckDBLibrary REQUIRED_VARS DuckDBLibrary_LIBRARY DuckDBLibrary_INCLUDE_DIR)
