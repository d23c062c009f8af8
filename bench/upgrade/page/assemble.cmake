# cmake -D FOLDER=… -D OUTPUT=… -P assemble.cmake: page.html with its style and scripts in it, as a C++ string literal; two
# places in it, {{table}} and {{runs}}, are filled by writePage().
cmake_minimum_required(VERSION 3.25)
file(READ ${FOLDER}/page.css INSTAR_PAGE_STYLE)
set(INSTAR_PAGE_SCRIPT "")
foreach(script numbers drawing figures page)
  file(READ ${FOLDER}/${script}.js text)
  string(APPEND INSTAR_PAGE_SCRIPT "${text}")
endforeach()
file(READ ${FOLDER}/page.html page)
string(CONFIGURE "${page}" page @ONLY)
file(CONFIGURE OUTPUT ${OUTPUT} @ONLY
  CONTENT "constexpr std::string_view kPage = R\"instarpage(@page@)instarpage\";\n")
