# One test of the demo (CMakeLists.txt beside): cmake -D STEP=… -P try_demo.cmake.
cmake_minimum_required(VERSION 3.25)
set(folder ${WORK}/${STEP})

# run_demo(<programs> <input>): sets `result`, `output` and `errors`.
macro(run_demo programs input)
  execute_process(COMMAND ${RUN} ${programs} ${folder} ${input}
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE errors)
endmacro()

function(expect_success)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "the demo ended with ${result}\n${output}\n${errors}")
  endif()
endfunction()

function(expect_false_claim claim)
  string(FIND "${errors}" "demo: this does not hold: ${claim}\n" found)
  if(result EQUAL 0 OR found EQUAL -1)
    message(FATAL_ERROR "the demo ended with ${result} and did not say that this is false: ${claim}\n${output}\n${errors}")
  endif()
endfunction()

function(EveryClaimHolds)
  run_demo(${PROGRAMS} ${SAMPLE})
  expect_success()
endfunction()

# run_with(<name> <rows of other sections> <regular expression> <replacement>): the demo on the sample, changed.
function(run_with name others expression replacement)
  file(READ ${SAMPLE} text)
  string(REGEX REPLACE "${expression}" "${replacement}" text "${text}")
  file(WRITE ${WORK}/${name} "${text}")
  run_demo(${PROGRAMS} ${WORK}/${name})
  expect_success()
  foreach(line "release 4 leaves ${others} rows alone" "release 3 wrote 8 rows and release 4 0;")
    string(FIND "${output}" "${line}" found)
    if(found EQUAL -1)
      message(FATAL_ERROR "the page does not say: ${line}\n${output}")
    endif()
  endforeach()
endfunction()

# It ended with a claim that had nothing to do with the cause.
function(CataloguesThatReleaseFourCannotWriteHold)
  run_with(contrib 151 "\nSection: " "\nSection: contrib/")
  run_with(without_sections 151 "\nSection: [^\n]*" "")
  run_with(without_addresses 0 "(\nMaintainer: [^<\n]*) <[^\n]*" "\\1")
endfunction()

# With a first release that does nothing, the demo must say so.
function(AFalseClaimEndsIt)
  set(broken ${WORK}/broken)
  file(MAKE_DIRECTORY ${broken})
  foreach(program instar package_v2 package_v3 package_v4)
    file(CREATE_LINK ${PROGRAMS}/${program} ${broken}/${program} SYMBOLIC)
  endforeach()
  file(CREATE_LINK /bin/true ${broken}/package_v1 SYMBOLIC)
  run_demo(${broken} ${SAMPLE})
  expect_false_claim("every rewritten row is urgent")
endfunction()

# It cleared whatever folder it was given. The second run ends at its first claim, with nothing but its input.
function(OnlyItsOwnFilesAreCleared)
  file(REMOVE_RECURSE ${folder})
  file(MAKE_DIRECTORY ${folder})
  file(WRITE ${folder}/thesis.txt "three years of work")
  run_demo(${PROGRAMS} ${SAMPLE})
  expect_success()
  run_demo(${PROGRAMS} /dev/null)
  expect_false_claim("the catalogue holds packages")
  file(GLOB left RELATIVE ${folder} ${folder}/*)
  set(expected catalogue thesis.txt)
  if(NOT left STREQUAL expected)
    message(FATAL_ERROR "expected: ${expected}\nfound:    ${left}")
  endif()
endfunction()

cmake_language(CALL ${STEP})
