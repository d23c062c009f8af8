# Runs PROGRAM twice in FOLDER, the second time on the file that the first has made, and looks at what it prints.
file(REMOVE ${FOLDER}/contacts.instar ${FOLDER}/contacts.instar-lock)
foreach(run first second)
  execute_process(COMMAND ${PROGRAM} WORKING_DIRECTORY ${FOLDER} OUTPUT_VARIABLE output RESULT_VARIABLE result)
  if(NOT result EQUAL 0 OR NOT output STREQUAL "Ada Lovelace, tier 1\n7 was written by version 2\n")
    message(FATAL_ERROR "the ${run} run ended with ${result} and printed:\n${output}")
  endif()
endforeach()
