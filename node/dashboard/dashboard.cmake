# The dashboard goes into grapevined as it lies here (but for indentation and lines of comment), with the
# library that draws its charts: Chart.js (MIT), from Debian's package or, with -DGV_CHART_JS=FILE
# -DGV_CHART_LICENCE=FILE, from elsewhere. Nothing is fetched.
find_file(GV_CHART_JS chart.min.js PATHS /usr/share/javascript/chart.js NO_DEFAULT_PATH
          DOC "Chart.js 3.9, minified")
find_file(GV_CHART_LICENCE copyright PATHS /usr/share/doc/libjs-chart.js NO_DEFAULT_PATH
          DOC "Its licence")
if(NOT GV_CHART_JS OR NOT GV_CHART_LICENCE)
  message(FATAL_ERROR "Chart.js is missing, which draws the dashboard's charts: `apt-get install "
          "libjs-chart.js`, or name its files with -DGV_CHART_JS=.../chart.min.js "
          "-DGV_CHART_LICENCE=.../LICENSE")
endif()
set(GV_DASHBOARD_FOLDER ${CMAKE_CURRENT_LIST_DIR})
file(GLOB GV_DASHBOARD CONFIGURE_DEPENDS ${GV_DASHBOARD_FOLDER}/*.html ${GV_DASHBOARD_FOLDER}/*.css
     ${GV_DASHBOARD_FOLDER}/*.js ${GV_DASHBOARD_FOLDER}/*.svg)

# gv_dashboard(TARGET): its bytes, plain and compressed, as one more source of the target.
function(gv_dashboard target)
  set(out ${CMAKE_BINARY_DIR}/generated/node/serve/dashboard_files.c)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/generated/node/serve)
  set(files ${GV_DASHBOARD} chart.js=${GV_CHART_JS} licences.txt=${GV_CHART_LICENCE})
  list(JOIN files "|" joined)
  add_custom_command(OUTPUT ${out}
    DEPENDS ${GV_DASHBOARD} ${GV_CHART_JS} ${GV_CHART_LICENCE} ${GV_DASHBOARD_FOLDER}/embed.cmake
    COMMAND ${CMAKE_COMMAND} "-DFILES=${joined}" -DOUT=${out} -P ${GV_DASHBOARD_FOLDER}/embed.cmake
    COMMENT "Embedding the dashboard" VERBATIM)
  target_sources(${target} PRIVATE ${out})
endfunction()
