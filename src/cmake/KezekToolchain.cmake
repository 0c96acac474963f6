# Compiler launcher, linker, warnings and sanitizers: everything that holds for all targets.

find_program(KEZEK_CCACHE ccache)
if(KEZEK_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${KEZEK_CCACHE})
endif()

find_program(KEZEK_MOLD mold)
if(KEZEK_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# Debian's package flags ask for it anyway; it keeps __FILE__ free of the builder's paths.
add_compile_options(-fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=)

set(KEZEK_WARNINGS
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
    -Woverloaded-virtual -Wnon-virtual-dtor -Wnull-dereference -Wimplicit-fallthrough
    -Wswitch-enum -Wextra-semi -Wundef)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # clang builds serve fuzzing and clang-tidy; gcc is the compiler that judges warnings.
  list(APPEND KEZEK_WARNINGS -Werror)
  # gcc 12 reports std::string concatenation as overlapping memcpy (GCC bug 105651).
  list(APPEND KEZEK_WARNINGS -Wno-restrict)
  # At -O2 it also sees strings, variants and functions of the library going past their own buffers,
  # through null and without a value; dev, at -O1, judges these.
  if(CMAKE_CXX_FLAGS MATCHES "-O2")
    list(APPEND KEZEK_WARNINGS -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread
         -Wno-null-dereference -Wno-maybe-uninitialized)
  endif()
  # A source in a batch of several (CMAKE_UNITY_BUILD) looks like a header to gcc.
  list(APPEND KEZEK_WARNINGS -Wno-subobject-linkage)
  # Designated initialisers leave members to their defaults on purpose.
  list(APPEND KEZEK_WARNINGS -Wno-missing-field-initializers)
endif()

if(KEZEK_SANITIZE)
  add_compile_options(-fsanitize=${KEZEK_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${KEZEK_SANITIZE})
  if(KEZEK_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # The instrumentation itself makes gcc's flow analysis see uninitialised and null paths.
    list(APPEND KEZEK_WARNINGS -Wno-maybe-uninitialized -Wno-null-dereference)
    if(KEZEK_SANITIZE MATCHES "thread")
      # gRPC's and Boost's fences: nothing of ours uses atomic_thread_fence.
      list(APPEND KEZEK_WARNINGS -Wno-tsan)
    endif()
  endif()
endif()

find_package(Threads REQUIRED)
