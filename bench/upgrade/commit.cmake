# Writes OUTPUT, a header with the commit that is built, where it is another than before. Run at each build.
set(commit unknown)
execute_process(COMMAND git describe --always --dirty WORKING_DIRECTORY ${FOLDER} OUTPUT_VARIABLE described
  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(NOT failed AND described)
  set(commit ${described})
  if(described MATCHES "-dirty$")
    # Two states of one tree that are not committed are two builds.
    execute_process(COMMAND git diff --binary HEAD COMMAND git hash-object --stdin WORKING_DIRECTORY ${FOLDER}
      OUTPUT_VARIABLE difference OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    string(SUBSTRING "${difference}" 0 12 difference)
    string(APPEND commit "-${difference}")
  endif()
endif()
set(text "#pragma once\nnamespace instar::bench {\ninline constexpr const char* kCommit = \"commit ${commit}\";\n}\n")
set(before "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} before)
endif()
if(NOT text STREQUAL before)
  file(WRITE ${OUTPUT} "${text}")
endif()
