# wai_wasm(NAME SOURCES ... EXPORTS file [IMPORTS file] ARCHIVES targets... [FIRST archives...]
#          [SYSTEM libraries...] LINK flags... [OPTIONS compiler's...] [OPTIMIZE wasm-opt's...] [METERED])
#
# Links NAME.wasm by wasm-ld itself, and writes NAME.link.json: the same commands for a runtime with
# fewer operators (../link_runtime.mjs). emcc as the linker always adds exports of its own (stack helpers,
# the table, _initialize), and its imports follow from settings; here exports are the lines of one
# file, and an import that is not a line of the other stops the build. METERED also makes
# NAME.metered.wasm, the same with instruction limits (../meter). FIRST: what comes before XNNPACK and
# nanopb.

execute_process(COMMAND em-config CACHE OUTPUT_VARIABLE em_cache OUTPUT_STRIP_TRAILING_WHITESPACE)
execute_process(COMMAND em-config LLVM_ROOT OUTPUT_VARIABLE em_llvm OUTPUT_STRIP_TRAILING_WHITESPACE)
execute_process(COMMAND em-config BINARYEN_ROOT OUTPUT_VARIABLE em_binaryen OUTPUT_STRIP_TRAILING_WHITESPACE)
set(em_libraries ${em_cache}/sysroot/lib/wasm32-emscripten)
# Emscripten's CMake platform file restricts searches to its sysroot; these are programs of the host.
find_program(WASM_LD NAMES wasm-ld wasm-ld-19 HINTS ${em_llvm} REQUIRED NO_CMAKE_FIND_ROOT_PATH)
find_program(WASM_OPT NAMES wasm-opt HINTS ${em_binaryen}/bin REQUIRED NO_CMAKE_FIND_ROOT_PATH)

function(wai_wasm name)
  cmake_parse_arguments(A "METERED" "EXPORTS;IMPORTS" "SOURCES;ARCHIVES;FIRST;SYSTEM;LINK;OPTIONS;OPTIMIZE" ${ARGN})
  foreach(file ${A_SOURCES} ${A_EXPORTS} ${A_IMPORTS})
    if(NOT EXISTS ${CMAKE_SOURCE_DIR}/${file})
      message(STATUS "${name}.wasm is left out: ${file} does not exist")
      return()
    endif()
  endforeach()

  add_library(${name}_objects OBJECT ${A_SOURCES})
  target_compile_options(${name}_objects PRIVATE ${A_OPTIONS})
  target_include_directories(${name}_objects PRIVATE core core/include)
  target_include_directories(${name}_objects SYSTEM PRIVATE ${WAI_LIBRARIES}/include)

  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${A_EXPORTS})
  file(STRINGS ${A_EXPORTS} exports REGEX "^[A-Za-z_]")
  list(TRANSFORM exports PREPEND --export=)
  set(archives)
  foreach(target ${A_ARCHIVES})
    list(APPEND archives $<TARGET_FILE:${target}>)
  endforeach()
  set(system)
  # bulkmemory first: its memcpy is one instruction, libc's calls a JS import for big copies.
  foreach(library ${A_SYSTEM} bulkmemory c compiler_rt)
    list(APPEND system ${em_libraries}/lib${library}.a)
  endforeach()

  set(check ${CMAKE_SOURCE_DIR}/harness/toolchain/wasm/check-imports.mjs)
  set(imports)
  if(A_IMPORTS)
    set(imports ${CMAKE_SOURCE_DIR}/${A_IMPORTS})
  endif()
  set(wasm ${CMAKE_BINARY_DIR}/${name}.wasm)
  set(link ${WASM_LD} --no-entry --gc-sections --stack-first --merge-data-segments
    $<TARGET_OBJECTS:${name}_objects> ${archives} ${A_FIRST} ${third_party} ${system} ${A_LINK} ${exports})
  set(optimize ${WASM_OPT} -O3 --enable-simd --enable-bulk-memory --enable-nontrapping-float-to-int
    --enable-sign-ext --enable-mutable-globals ${A_OPTIMIZE} --strip-debug --strip-producers --strip-target-features)
  set(compile ${CMAKE_C_COMPILER} -std=c11 $<TARGET_PROPERTY:${name}_objects,COMPILE_OPTIONS>)
  set(include $<TARGET_PROPERTY:${name}_objects,INCLUDE_DIRECTORIES>)
  set(recipe)
  foreach(part compile include link optimize check imports)
    list(APPEND recipe "  \"${part}\": [\"$<JOIN:${${part}},\", \">\"]")
  endforeach()
  list(JOIN recipe ",\n" recipe)
  file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/${name}.link.json CONTENT "{\n${recipe}\n}\n")
  add_custom_command(OUTPUT ${wasm}
    COMMAND ${link} -o ${wasm}.linked
    COMMAND ${optimize} ${wasm}.linked -o ${wasm}.part
    COMMAND node ${check} ${wasm}.part ${imports}
    COMMAND ${CMAKE_COMMAND} -E rename ${wasm}.part ${wasm}
    DEPENDS ${name}_objects $<TARGET_OBJECTS:${name}_objects> ${A_ARCHIVES} ${A_FIRST} ${third_party} ${A_EXPORTS} ${check} ${imports}
    COMMENT "Linking ${name}.wasm"
    COMMAND_EXPAND_LISTS VERBATIM)
  add_custom_target(${name} ALL DEPENDS ${wasm})
  if(A_METERED)
    set(metered ${CMAKE_BINARY_DIR}/${name}.metered.wasm)
    set(meter ${CMAKE_SOURCE_DIR}/harness/toolchain/meter)
    file(GLOB meter_sources CONFIGURE_DEPENDS ${meter}/*.mjs)
    add_custom_command(OUTPUT ${metered}
      COMMAND node ${meter}/index.mjs ${wasm} ${metered}.part
      COMMAND node ${check} ${metered}.part ${imports}
      COMMAND ${CMAKE_COMMAND} -E rename ${metered}.part ${metered}
      DEPENDS ${wasm} ${meter_sources} ${check} ${imports}
      COMMENT "Metering ${name}.wasm"
      VERBATIM)
    add_custom_target(${name}_metered ALL DEPENDS ${metered})
  endif()
endfunction()
