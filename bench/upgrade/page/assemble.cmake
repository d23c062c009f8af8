# cmake -D FOLDER=… -D OUTPUT=… -P assemble.cmake: page.html with its style and scripts in it, as a C++ source
# (page_text.h); two places in it, {{table}} and {{runs}}, are filled by writePage().
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
  CONTENT "#include \"instar/bench/upgrade/page/page_text.h\"

namespace instar::bench {
extern constexpr std::string_view kPageText = R\"instarpage(@page@)instarpage\";
}
")
