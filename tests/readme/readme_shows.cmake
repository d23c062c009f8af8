# Fails unless README holds the text of PART, line by line.
file(READ ${README} readme)
file(READ ${PART} part)
string(FIND "${readme}" "${part}" position)
if(position EQUAL -1)
  message(FATAL_ERROR "README.md does not show ${PART} as it is: copy it there")
endif()
