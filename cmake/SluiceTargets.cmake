# Flags every target of ours gets, and nobody who links us; and sluice_module(), the one way to add a folder.
add_library(sluice_build_flags INTERFACE)
target_compile_features(sluice_build_flags INTERFACE cxx_std_20)
target_compile_options(sluice_build_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
  -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough
  -fstack-protector-strong
  # What is shipped: buffers checked at run time, no uninitialised variables, nothing to jump to.
  "$<$<CONFIG:Release>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=3;-D_GLIBCXX_ASSERTIONS;-fstack-clash-protection;-fcf-protection=full>"
  "$<$<AND:$<CONFIG:Release>,$<CXX_COMPILER_ID:GNU>>:-ftrivial-auto-var-init=zero>"
  # By stores: `rep stos` for each small thing, such as a Status, was a fifth of what a stream takes.
  "$<$<AND:$<CONFIG:Release>,$<CXX_COMPILER_ID:GNU>,$<STREQUAL:${CMAKE_SYSTEM_PROCESSOR},x86_64>>:-mmemset-strategy=vector_loop:256:noalign,libcall:-1:noalign>"
  $<$<BOOL:${SLUICE_WERROR}>:-Werror>
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>)
if(SLUICE_SANITIZE)
  target_compile_options(sluice_build_flags INTERFACE -fsanitize=${SLUICE_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(sluice_build_flags INTERFACE -fsanitize=${SLUICE_SANITIZE})
  # The fences in Boost.Asio are unknown to gcc's thread sanitizer; its locks are not.
  if(SLUICE_SANITIZE STREQUAL "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(sluice_build_flags INTERFACE -Wno-tsan)
  endif()
endif()
target_link_options(sluice_build_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack)
find_program(SLUICE_MOLD mold)
if(SLUICE_MOLD)
  target_link_options(sluice_build_flags INTERFACE -fuse-ld=mold)
endif()

# sluice_module(NAME SRCS ... DEPS ... LINK ... TESTS ...)
# One module = one folder = one static library, sluice_NAME. DEPS are the only modules it may include (lint checks the
# includes); LINK are third-party targets. TESTS become one executable NAME_test whose cases carry the label `unit`.
function(sluice_module name)
  cmake_parse_arguments(ARG "" "" "SRCS;DEPS;LINK;TESTS;TEST_DEPS" ${ARGN})
  add_library(sluice_${name} STATIC ${ARG_SRCS})
  target_include_directories(sluice_${name} PUBLIC
    "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>" "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>")
  list(TRANSFORM ARG_DEPS PREPEND sluice_)
  target_link_libraries(sluice_${name} PUBLIC ${ARG_DEPS} ${ARG_LINK} PRIVATE sluice_build_flags)
  if(SLUICE_BUILD_TESTS AND ARG_TESTS)
    add_executable(${name}_test ${ARG_TESTS})
    list(TRANSFORM ARG_TEST_DEPS PREPEND sluice_)
    target_link_libraries(${name}_test PRIVATE sluice_${name} ${ARG_TEST_DEPS} sluice_build_flags GTest::gmock_main)
    if(SLUICE_SANITIZE)  # half of the time that it takes to compile them
      target_compile_options(${name}_test PRIVATE -O0)
    endif()
    gtest_discover_tests(${name}_test TEST_PREFIX "${name}." DISCOVERY_MODE PRE_TEST
      PROPERTIES LABELS unit TIMEOUT 120)
  endif()
endfunction()

# sluice_pgtest(NAME_pgtest SRCS ... DEPS ... LINK ... [LABEL pg|failure] [TIMEOUT seconds])
# A test executable that needs PostgreSQL: ctest runs it once, beside a scratch server of its own whose conninfo is in
# SLUICE_TEST_PG (testing/with_postgres.cc). Run by hand without that variable it should skip.
function(sluice_pgtest name)
  if(NOT SLUICE_BUILD_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SRCS;DEPS;LINK" ${ARGN})
  if(NOT ARG_LABEL)
    set(ARG_LABEL pg)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SRCS})
  list(TRANSFORM ARG_DEPS PREPEND sluice_)
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} ${ARG_LINK} sluice_build_flags GTest::gmock_main)
  add_dependencies(${name} sluice_with_postgres)
  add_test(NAME ${name} COMMAND sluice_with_postgres 17 -- $<TARGET_FILE:${name}>)
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT})
endfunction()
