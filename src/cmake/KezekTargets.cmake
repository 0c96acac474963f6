# The four kinds of targets of this project. Every source list is explicit; every dependency that a
# file's #include lines use is declared in DEPENDS, which tests/tidy compares with the includes.
#
#   kezek_library(NAME kezek_quota
#     SOURCES usage.cc            # none yet, or header-only: becomes an INTERFACE library
#     HEADERS usage.h             # public headers, each verified to compile alone
#     DEPENDS kezek_words ext::json
#     PCH <nlohmann/json.hpp>)    # only third-party headers, only where it pays
#   kezek_executable(NAME kezekd SOURCES main.cc HEADERS wiring.h DEPENDS ...)
#   kezek_test(NAME usage_test SOURCES usage_test.cc DEPENDS kezek_quota
#     LABELS pure asan            # see docs/testing.md
#     TIMEOUT 120 LOCK slurm ARGS --x)
#   kezek_script_test(NAME tidy COMMAND python3 ... LABELS tidy)
#   kezek_fuzz(NAME script_fuzz SOURCES script_fuzz.cc CORPUS corpus/script DEPENDS kezek_script
#     LABELS asan)

include_guard(GLOBAL)

# Libraries named in DEPENDS, outside ones looked up first.
function(kezek_link target scope)
  foreach(dependency IN LISTS ARGN)
    if(dependency MATCHES "^ext::(.+)$")
      kezek_external(${CMAKE_MATCH_1})
    endif()
    target_link_libraries(${target} ${scope} ${dependency})
  endforeach()
endfunction()

# The include root that the current folder's headers are named from.
function(kezek_include_root out)
  cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY ${CMAKE_SOURCE_DIR}
             OUTPUT_VARIABLE folder)
  if(folder MATCHES "^include/")
    set(${out} ${CMAKE_SOURCE_DIR}/include PARENT_SCOPE)
  elseif(folder MATCHES "^src/")
    set(${out} ${CMAKE_SOURCE_DIR}/src PARENT_SCOPE)
  else()
    set(${out} ${CMAKE_SOURCE_DIR} PARENT_SCOPE)
  endif()
endfunction()

# Include root and warnings of a target whose own sources are compiled.
function(kezek_compile target)
  kezek_include_root(root)
  target_include_directories(${target} PRIVATE ${root})
  target_compile_options(${target} PRIVATE ${KEZEK_WARNINGS})
endfunction()

function(kezek_precompile target)
  if(KEZEK_PCH AND ARGN)
    target_precompile_headers(${target} PRIVATE ${ARGN})
  endif()
endfunction()

function(kezek_library)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;HEADERS;DEPENDS;PCH" ${ARGN})
  kezek_require_parsed(${ARG_NAME} "${ARG_UNPARSED_ARGUMENTS}")
  if(ARG_SOURCES)
    add_library(${ARG_NAME} STATIC ${ARG_SOURCES})
    set(scope PUBLIC)
    kezek_compile(${ARG_NAME})
    kezek_precompile(${ARG_NAME} ${ARG_PCH})
  else()
    add_library(${ARG_NAME} INTERFACE)
    set(scope INTERFACE)
  endif()
  kezek_include_root(root)
  target_include_directories(${ARG_NAME} ${scope} ${root})
  if(ARG_HEADERS)
    target_sources(${ARG_NAME} ${scope} FILE_SET HEADERS BASE_DIRS ${root} FILES ${ARG_HEADERS})
  endif()
  kezek_link(${ARG_NAME} ${scope} ${ARG_DEPENDS})
endfunction()

function(kezek_executable)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;HEADERS;DEPENDS;PCH" ${ARGN})
  kezek_require_parsed(${ARG_NAME} "${ARG_UNPARSED_ARGUMENTS}")
  if(NOT ARG_SOURCES)
    return()
  endif()
  add_executable(${ARG_NAME} ${ARG_SOURCES} ${ARG_HEADERS})
  kezek_compile(${ARG_NAME})
  kezek_precompile(${ARG_NAME} ${ARG_PCH})
  kezek_link(${ARG_NAME} PRIVATE ${ARG_DEPENDS})
endfunction()

# What ctest knows of a test besides its command.
function(kezek_test_properties name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LABELS;LOCK" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
  if(ARG_LOCK)
    set_tests_properties(${name} PROPERTIES RESOURCE_LOCK "${ARG_LOCK}")
  endif()
  set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT
    "KEZEK_SOURCE_DIR=${CMAKE_SOURCE_DIR}" "KEZEK_BIN_DIR=${CMAKE_BINARY_DIR}/bin"
    "UBSAN_OPTIONS=print_stacktrace=1" "TSAN_OPTIONS=halt_on_error=1")
endfunction()

function(kezek_test)
  cmake_parse_arguments(ARG "" "NAME;TIMEOUT"
    "SOURCES;HEADERS;DEPENDS;LABELS;LOCK;ARGS;PCH" ${ARGN})
  kezek_require_parsed(${ARG_NAME} "${ARG_UNPARSED_ARGUMENTS}")
  add_executable(${ARG_NAME} ${ARG_SOURCES} ${ARG_HEADERS})
  set_target_properties(${ARG_NAME} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  kezek_compile(${ARG_NAME})
  kezek_precompile(${ARG_NAME} ${ARG_PCH})
  kezek_external(gtest)
  find_library(KEZEK_LIB_gtest_main gtest_main REQUIRED)
  kezek_link(${ARG_NAME} PRIVATE ${ARG_DEPENDS})
  target_link_libraries(${ARG_NAME} PRIVATE ${KEZEK_LIB_gtest_main} ext::gtest)
  add_test(NAME ${ARG_NAME} COMMAND ${ARG_NAME}
    --gtest_output=json:${CMAKE_BINARY_DIR}/test-results/${ARG_NAME}.json ${ARG_ARGS})
  kezek_test_properties(${ARG_NAME} LABELS ${ARG_LABELS} TIMEOUT ${ARG_TIMEOUT} LOCK ${ARG_LOCK})
  kezek_group_test(${ARG_NAME} ${ARG_LABELS})
endfunction()

# What tests-LABEL builds.
function(kezek_group_test name)
  foreach(label IN LISTS ARGN)
    set_property(GLOBAL APPEND PROPERTY KEZEK_TESTS_${label} ${name})
    set_property(GLOBAL APPEND PROPERTY KEZEK_LABELS ${label})
  endforeach()
endfunction()

function(kezek_script_test)
  cmake_parse_arguments(ARG "" "NAME;TIMEOUT" "COMMAND;LABELS;LOCK" ${ARGN})
  kezek_require_parsed(${ARG_NAME} "${ARG_UNPARSED_ARGUMENTS}")
  add_test(NAME ${ARG_NAME} COMMAND ${ARG_COMMAND} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  kezek_test_properties(${ARG_NAME} LABELS ${ARG_LABELS} TIMEOUT ${ARG_TIMEOUT} LOCK ${ARG_LOCK})
  set_tests_properties(${ARG_NAME} PROPERTIES SKIP_RETURN_CODE 77)
endfunction()

# Without KEZEK_FUZZ the target replays its corpus, as an ordinary test.
function(kezek_fuzz)
  cmake_parse_arguments(ARG "" "NAME;CORPUS" "SOURCES;DEPENDS;LABELS" ${ARGN})
  kezek_require_parsed(${ARG_NAME} "${ARG_UNPARSED_ARGUMENTS}")
  add_executable(${ARG_NAME} ${ARG_SOURCES})
  set_target_properties(${ARG_NAME} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  kezek_compile(${ARG_NAME})
  kezek_link(${ARG_NAME} PRIVATE ${ARG_DEPENDS})
  if(KEZEK_FUZZ)
    target_compile_options(${ARG_NAME} PRIVATE -fsanitize=fuzzer)
    target_link_options(${ARG_NAME} PRIVATE -fsanitize=fuzzer)
    set_property(GLOBAL APPEND PROPERTY KEZEK_FUZZERS ${ARG_NAME})
  else()
    target_sources(${ARG_NAME} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/replay.cc)
  endif()
  add_test(NAME ${ARG_NAME} COMMAND ${ARG_NAME} $<$<BOOL:${KEZEK_FUZZ}>:-runs=0>
    ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_CORPUS} COMMAND_EXPAND_LISTS)
  kezek_test_properties(${ARG_NAME} LABELS fuzz ${ARG_LABELS})
  kezek_group_test(${ARG_NAME} fuzz ${ARG_LABELS})
endfunction()

function(kezek_require_parsed name unparsed)
  if(unparsed)
    message(FATAL_ERROR "${name}: unknown arguments: ${unparsed}")
  endif()
endfunction()

# Targets over all folders: tests-LABEL builds what `ctest -L LABEL` runs, verify_headers compiles
# each public header alone, fuzzers builds every fuzz target.
function(kezek_finish)
  get_property(labels GLOBAL PROPERTY KEZEK_LABELS)
  list(REMOVE_DUPLICATES labels)
  foreach(label IN LISTS labels)
    get_property(tests GLOBAL PROPERTY KEZEK_TESTS_${label})
    add_custom_target(tests-${label} DEPENDS ${tests})
  endforeach()
  get_property(fuzzers GLOBAL PROPERTY KEZEK_FUZZERS)
  add_custom_target(fuzzers DEPENDS ${fuzzers})
  add_custom_target(verify_headers)
  add_dependencies(verify_headers all_verify_interface_header_sets)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/test-results)
endfunction()
