# keystead_library(name SOURCES … PUBLIC … PRIVATE …), keystead_program(name SOURCES … PRIVATE …),
# keystead_test(name SOURCES … PRIVATE … [LABELS …] [SHARDS n]), keystead_test_library and keystead_bench alike: one call per target,
# sources listed by name.

# What nearly every file includes, compiled once for code and once for tests. Not gRPC: to have it here as well makes no
# file compile faster (transport/publisher.cc 4.7 s without, 5.0 s with). Under clang only, which reads of such a header
# what it needs: the build with gcc then shows includes that a file forgot.
set(KEYSTEAD_PRECOMPILED
  <algorithm> <array> <atomic> <deque> <functional> <map> <memory> <optional> <set> <span> <string> <string_view>
  <utility> <vector> <absl/container/flat_hash_map.h> <absl/status/status.h> <absl/status/statusor.h>
  <absl/strings/str_cat.h> <absl/synchronization/mutex.h> <absl/time/clock.h> <absl/time/time.h>)

# A library without code that holds the header for the targets of keystead_precompiled(target FROM).
function(keystead_precompile name)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "HEADERS;OPTIONS;LINK" ${ARGN})
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/${name}.cc CONTENT "")
  add_library(${name} STATIC ${CMAKE_BINARY_DIR}/${name}.cc)
  target_link_libraries(${name} PRIVATE keystead_warnings ${ARG_LINK})
  target_compile_options(${name} PRIVATE ${ARG_OPTIONS})
  target_precompile_headers(${name} PRIVATE ${ARG_HEADERS})
  set_target_properties(${name} PROPERTIES CXX_COMPILER_LAUNCHER ${CMAKE_SOURCE_DIR}/cmake/precompile.sh)
endfunction()

# Not target_precompile_headers(REUSE_FROM): that writes the build folder's own path into every command, and the compiler
# cache would not give two folders one object.
function(keystead_precompiled target from)
  if(NOT TARGET ${from})
    return()
  endif()
  set(header CMakeFiles/${from}.dir/cmake_pch.hxx.pch)  # Ninja starts the compiler in ${CMAKE_BINARY_DIR}
  target_compile_options(${target} PRIVATE -Winvalid-pch "SHELL:-include-pch ${header}")
  add_dependencies(${target} ${from})
  get_target_property(sources ${target} SOURCES)
  set_property(SOURCE ${sources} APPEND PROPERTY OBJECT_DEPENDS ${CMAKE_BINARY_DIR}/${header})
endfunction()

keystead_precompile(keystead_pch HEADERS ${KEYSTEAD_PRECOMPILED}
  LINK absl::flat_hash_map absl::statusor absl::strings absl::synchronization absl::time)
# Tests spend their time in the libraries, so they are compiled as fast as can be.
set(KEYSTEAD_TEST_OPTIONS $<$<NOT:$<CONFIG:Release>>:-O0>)
keystead_precompile(keystead_test_pch HEADERS ${KEYSTEAD_PRECOMPILED} <gmock/gmock.h> <gtest/gtest.h>
  OPTIONS ${KEYSTEAD_TEST_OPTIONS}
  LINK absl::flat_hash_map absl::statusor absl::strings absl::synchronization absl::time GTest::gmock GTest::gtest)

function(keystead_own target)
  target_link_libraries(${target} PRIVATE keystead_warnings)
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR})
  if(KEYSTEAD_MUTANTS)
    keystead_define_mutants(${target})
  endif()
endfunction()

# Defined only for the sources that ask: all others are compiled exactly as in the preset dev, and the compiler cache
# gives both presets one object.
function(keystead_define_mutants target)
  get_target_property(sources ${target} SOURCES)
  foreach(source IN LISTS sources)
    get_source_file_property(generated ${source} GENERATED)
    if(generated)
      continue()  # not there yet
    endif()
    file(STRINGS ${source} asks REGEX "core/base/mutants.h" LIMIT_COUNT 1)
    if(asks)
      set_property(SOURCE ${source} APPEND PROPERTY COMPILE_DEFINITIONS KEYSTEAD_MUTANTS=1)
    endif()
  endforeach()
endfunction()

function(keystead_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  keystead_own(${name})
  keystead_precompiled(${name} keystead_pch)
  target_link_libraries(${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
endfunction()

function(keystead_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PRIVATE" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  keystead_own(${name})
  keystead_precompiled(${name} keystead_pch)
  target_link_libraries(${name} PRIVATE ${ARG_PRIVATE})
  if(NOT KEYSTEAD_SANITIZE)
    # Not one symbol of it is named, so a linker that drops what is not needed would drop it.
    target_link_options(${name} PRIVATE -Wl,--no-as-needed ${KEYSTEAD_JEMALLOC} -Wl,--as-needed)
  endif()
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endfunction()

# Measures on the machine it runs on, and is no part of `all`: the target `benches` builds them.
add_custom_target(benches)
function(keystead_bench name)
  keystead_program(${name} ${ARGN})
  set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL ON)
  add_dependencies(benches ${name})
endfunction()

# What several tests share.
function(keystead_test_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  keystead_own(${name})
  target_compile_options(${name} PRIVATE ${KEYSTEAD_TEST_OPTIONS})
  keystead_precompiled(${name} keystead_test_pch)
  target_link_libraries(${name} PUBLIC ${ARG_PUBLIC} GTest::gmock GTest::gtest PRIVATE ${ARG_PRIVATE})
endfunction()

# Every unit test binary is one CTest entry: its own output names the single test that failed. Outside the preset dev
# the entry carries the preset's name, because scripts/test runs several presets in one CTest run. A binary whose tests mostly
# wait for something is several entries, which run side by side: SHARDS. MAIN: a library with another main() than gtest_main's.
function(keystead_test name)
  cmake_parse_arguments(ARG "" "SHARDS;MAIN" "SOURCES;PRIVATE;LABELS" ${ARGN})
  if(NOT ARG_MAIN)
    set(ARG_MAIN GTest::gtest_main)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  keystead_own(${name})
  target_compile_options(${name} PRIVATE ${KEYSTEAD_TEST_OPTIONS})
  keystead_precompiled(${name} keystead_test_pch)
  target_link_libraries(${name} PRIVATE ${ARG_PRIVATE} ${ARG_MAIN} GTest::gmock GTest::gtest)
  get_filename_component(preset ${CMAKE_BINARY_DIR} NAME)
  set(entry ${name})
  if(NOT preset STREQUAL "dev")
    set(entry ${name}.${preset})
  endif()
  # scripts/test knows no times of earlier runs: what takes long is begun first, so that no core is idle at the end.
  set(cost 0)
  if(ARG_SHARDS OR KEYSTEAD_SANITIZE)
    set(cost 20)
  endif()
  set(shards 1)
  if(ARG_SHARDS)
    set(shards ${ARG_SHARDS})
  endif()
  foreach(shard RANGE 1 ${shards})
    set(one ${entry})
    if(ARG_SHARDS)
      set(one ${entry}.${shard}of${shards})
    endif()
    math(EXPR index "${shard} - 1")
    add_test(NAME ${one} COMMAND ${name})
    set_tests_properties(${one} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 300 COST ${cost}
      ENVIRONMENT "KEYSTEAD_SOURCE_DIR=${CMAKE_SOURCE_DIR};KEYSTEAD_BINARY_DIR=${CMAKE_BINARY_DIR};GTEST_TOTAL_SHARDS=${shards};GTEST_SHARD_INDEX=${index}")
  endforeach()
endfunction()
