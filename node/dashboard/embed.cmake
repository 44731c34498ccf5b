# cmake "-DFILES=FILE|NAME=FILE..." -DOUT=FILE.c -P embed.cmake: the table gv_dashboard_files of
# node/serve/dashboard.h, each file as it is and gzipped.
function(bytes out file)
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
  string(REGEX REPLACE "(................................................................................)"
         "\\1\n" hex "${hex}")
  set(${out} "${hex}" PARENT_SCOPE)
endfunction()

set(types_html "text/html; charset=utf-8")
set(types_css "text/css; charset=utf-8")
set(types_js "text/javascript; charset=utf-8")
set(types_svg "image/svg+xml")
set(types_txt "text/plain; charset=utf-8")
set(arrays "")
set(table "")
set(number 0)
string(REPLACE "|" ";" files "${FILES}")
foreach(entry ${files})
  if(entry MATCHES "^([^=/]+)=(.+)$")
    set(name ${CMAKE_MATCH_1})
    set(file ${CMAKE_MATCH_2})
  else()
    get_filename_component(name ${entry} NAME)
    set(file ${entry})
  endif()
  string(REGEX REPLACE ".*\\." "" kind ${name})
  execute_process(COMMAND gzip -9nc ${file} OUTPUT_FILE ${OUT}.gz RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "gzip ${file}: ${failed}")
  endif()
  bytes(plain ${file})
  bytes(packed ${OUT}.gz)
  file(REMOVE ${OUT}.gz)
  string(APPEND arrays "static const unsigned char plain${number}[] = {\n${plain}};\n"
         "static const unsigned char packed${number}[] = {\n${packed}};\n")
  string(APPEND table "    {\"${name}\", \"${types_${kind}}\", plain${number}, sizeof plain${number}, "
         "packed${number}, sizeof packed${number}},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUT} "#include \"node/serve/dashboard.h\"\n\n${arrays}\n"
     "const struct gv_dashboard_file gv_dashboard_files[] = {\n${table}};\n"
     "const size_t gv_dashboard_file_count = ${number};\n")
