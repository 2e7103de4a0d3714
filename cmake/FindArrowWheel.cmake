# Arrow C++ and Parquet from the unpacked pyarrow wheel in ARROW_WHEEL_DIR. The library is linked by its full
# name, so no libarrow.so link is needed. Defines ArrowWheel::arrow.
find_path(ArrowWheel_INCLUDE_DIR arrow/api.h PATHS "${ARROW_WHEEL_DIR}/pyarrow/include" NO_DEFAULT_PATH)
if(ArrowWheel_INCLUDE_DIR)
  file(STRINGS "${ArrowWheel_INCLUDE_DIR}/arrow/util/config.h" _version REGEX "ARROW_VERSION_STRING")
  string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" ArrowWheel_VERSION "${_version}")
  file(STRINGS "${ArrowWheel_INCLUDE_DIR}/arrow/util/config.h" _so_version REGEX "ARROW_SO_VERSION")
  string(REGEX MATCH "[0-9]+" _so "${_so_version}")
  set(_file "${ARROW_WHEEL_DIR}/pyarrow/libarrow.so.${_so}")
  if(EXISTS "${_file}" AND NOT TARGET ArrowWheel::arrow)
    add_library(ArrowWheel::arrow SHARED IMPORTED)
    set_target_properties(ArrowWheel::arrow PROPERTIES
      IMPORTED_LOCATION "${_file}"
      INTERFACE_INCLUDE_DIRECTORIES "${ArrowWheel_INCLUDE_DIR}"
      INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${ArrowWheel_INCLUDE_DIR}")
  endif()
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(ArrowWheel REQUIRED_VARS ArrowWheel_INCLUDE_DIR VERSION_VAR ArrowWheel_VERSION)
