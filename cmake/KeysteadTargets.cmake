# keystead_library(name SOURCES … PUBLIC … PRIVATE …), keystead_program(name SOURCES … PRIVATE …),
# keystead_test(name SOURCES … PRIVATE … [LABELS …]): one call per target, sources listed by name.

function(keystead_own target)
  target_link_libraries(${target} PRIVATE keystead_warnings)
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR})
  if(KEYSTEAD_MUTANTS)
    target_compile_definitions(${target} PRIVATE KEYSTEAD_MUTANTS=1)
  endif()
endfunction()

function(keystead_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  keystead_own(${name})
  target_link_libraries(${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
endfunction()

function(keystead_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PRIVATE" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  keystead_own(${name})
  target_link_libraries(${name} PRIVATE ${ARG_PRIVATE})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endfunction()

# Every unit test binary is one CTest entry: its own output names the single test that failed. Outside the preset dev
# the entry carries the preset's name, because scripts/test runs several presets in one CTest run.
function(keystead_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PRIVATE;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  keystead_own(${name})
  target_link_libraries(${name} PRIVATE ${ARG_PRIVATE} GTest::gmock GTest::gtest_main)
  get_filename_component(preset ${CMAKE_BINARY_DIR} NAME)
  set(entry ${name})
  if(NOT preset STREQUAL "dev")
    set(entry ${name}.${preset})
  endif()
  add_test(NAME ${entry} COMMAND ${name})
  set_tests_properties(${entry} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 300
    ENVIRONMENT "KEYSTEAD_SOURCE_DIR=${CMAKE_SOURCE_DIR};KEYSTEAD_BINARY_DIR=${CMAKE_BINARY_DIR}")
endfunction()
