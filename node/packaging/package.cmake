# The manual pages, what `cmake --install` puts where, and the Debian packages grapevine and
# grapevine-registry: cmake --build BUILD --target package. Installed from the build as it is, so
# build them as Release.
include(GNUInstallDirs)
set(GV_PACKAGING ${CMAKE_SOURCE_DIR}/node/packaging)
set(GV_PACKAGES grapevine grapevine-registry)

file(GLOB GV_MAN_IN CONFIGURE_DEPENDS ${GV_PACKAGING}/man/*.in)
set(GV_MAN_DIR ${CMAKE_BINARY_DIR}/man)
set(GV_MAN)
foreach(page ${GV_MAN_IN})
  get_filename_component(page ${page} NAME)
  string(REGEX REPLACE "\\.in$" "" page ${page})
  list(APPEND GV_MAN ${GV_MAN_DIR}/${page})
endforeach()
add_custom_command(OUTPUT ${GV_MAN}
  DEPENDS grapevined grapevine grapevine-registry grapevine-firewall grapevine-sim ${GV_PACKAGING}/man.sh ${GV_MAN_IN}
  COMMAND ${GV_PACKAGING}/man.sh ${CMAKE_RUNTIME_OUTPUT_DIRECTORY} ${GV_MAN_DIR} ${PROJECT_VERSION}
  COMMENT "Writing the manual pages" VERBATIM)
add_custom_target(man ALL DEPENDS ${GV_MAN})
# Debian wants them, the documents and the changelog compressed, and the same bytes from the same source.
set(GV_ZIPPED ${CMAKE_BINARY_DIR}/zipped)
set(GV_DOCUMENTS ${CMAKE_SOURCE_DIR}/README.md ${CMAKE_SOURCE_DIR}/SPEC.md)
add_custom_command(OUTPUT ${GV_ZIPPED}/done DEPENDS ${GV_MAN} ${GV_DOCUMENTS} ${GV_PACKAGING}/debian/changelog
  COMMAND ${CMAKE_COMMAND} -E make_directory ${GV_ZIPPED}
  COMMAND sh -ec "for f in \"$@\"; do gzip -9nc \"$f\" >${GV_ZIPPED}/$(basename \"$f\").gz; done"
          zip ${GV_MAN} ${GV_DOCUMENTS} ${GV_PACKAGING}/debian/changelog
  COMMAND ${CMAKE_COMMAND} -E touch ${GV_ZIPPED}/done VERBATIM)
add_custom_target(zipped ALL DEPENDS ${GV_ZIPPED}/done)
# Both need the pages: without this two makes write them at once.
add_dependencies(zipped man)

function(gv_install component)
  cmake_parse_arguments(I "" "MAN" "PROGRAMS" ${ARGN})
  install(TARGETS ${I_PROGRAMS} RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR} COMPONENT ${component})
  install(FILES ${GV_PACKAGING}/${component}.service DESTINATION lib/systemd/system
          COMPONENT ${component})
  install(FILES ${GV_PACKAGING}/${component}.sysusers DESTINATION lib/sysusers.d
          RENAME ${component}.conf COMPONENT ${component})
  install(FILES ${GV_ZIPPED}/changelog.gz ${GV_PACKAGING}/debian/copyright
          DESTINATION share/doc/${component} COMPONENT ${component})
  install(FILES ${GV_ZIPPED}/README.md.gz DESTINATION share/doc/${component} COMPONENT ${component})
  # A profile for ufw, as Debian's mail servers bring: a conffile, the admin's to change. In packages alone.
  install(FILES ${GV_PACKAGING}/ufw/${component} DESTINATION /etc/ufw/applications.d
          COMPONENT ${component} EXCLUDE_FROM_ALL)
endfunction()
gv_install(grapevine PROGRAMS grapevined)
gv_install(grapevine-registry PROGRAMS grapevine-registry)
install(TARGETS grapevine-firewall RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR} COMPONENT grapevine)
install(FILES ${GV_PACKAGING}/grapevine-firewall.service DESTINATION lib/systemd/system
        COMPONENT grapevine)
install(TARGETS grapevine RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT grapevine)
# What the first installation writes to /etc/grapevine; no conffile, as `grapevine setup` edits it, and an
# upgrade that asks about every change of ours is none that nobody need think about.
install(FILES ${GV_PACKAGING}/grapevine.conf DESTINATION share/grapevine COMPONENT grapevine)
install(FILES ${GV_ZIPPED}/grapevine.1.gz DESTINATION share/man/man1 COMPONENT grapevine)
install(FILES ${GV_ZIPPED}/grapevine.conf.5.gz DESTINATION share/man/man5 COMPONENT grapevine)
install(FILES ${GV_ZIPPED}/grapevined.8.gz ${GV_ZIPPED}/grapevine-firewall.8.gz DESTINATION share/man/man8 COMPONENT grapevine)
install(FILES ${GV_ZIPPED}/grapevine-registry.8.gz DESTINATION share/man/man8
        COMPONENT grapevine-registry)
install(FILES ${CMAKE_SOURCE_DIR}/node/serve/grafana.json ${CMAKE_SOURCE_DIR}/node/serve/openapi.json
        ${GV_ZIPPED}/SPEC.md.gz
        DESTINATION share/doc/grapevine COMPONENT grapevine)
foreach(program grapevine grapevined grapevine-firewall)
  install(FILES ${GV_PACKAGING}/completion.bash DESTINATION share/bash-completion/completions
          RENAME ${program} COMPONENT grapevine)
endforeach()
install(FILES ${GV_PACKAGING}/completion.bash DESTINATION share/bash-completion/completions
        RENAME grapevine-registry COMPONENT grapevine-registry)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME grapevine)
set(CPACK_PACKAGE_CONTACT "The grapevine developers <maintainers@grapevine.example>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_PREFIX /usr) # the one that counts with DESTDIR: whatever prefix the build has
set(CPACK_SET_DESTDIR ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL ${GV_PACKAGES})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SECTION mail)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_GRAPEVINE_PACKAGE_NAME grapevine)
set(CPACK_DEBIAN_GRAPEVINE-REGISTRY_PACKAGE_NAME grapevine-registry)
set(CPACK_COMPONENT_GRAPEVINE_DESCRIPTION
"peer network of mail servers against password guessing
Reads the log of Postfix, Dovecot and others, exchanges signed threat signals
directly with other mail servers, and decides by a consensus weighted by
reputation which addresses are untrusted. Only failures are shared: never
mail, account names, or addresses of people who logged in.

Contains the node (grapevined) and the admin's command (grapevine).")
set(CPACK_COMPONENT_GRAPEVINE-REGISTRY_DESCRIPTION
"registry of a grapevine network of mail servers
Ties the nodes of a grapevine network to their admins' verified email
addresses, and does nothing else: it sees no signals, and while it is down the
network goes on. Only who runs a network of his own needs it.")
foreach(package ${GV_PACKAGES})
  string(TOUPPER ${package} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_DEPENDS
      "systemd, init-system-helpers (>= 1.52), ca-certificates") # the last: for registries' https
  set(scripts)
  foreach(script postinst prerm postrm conffiles)
    list(APPEND scripts ${GV_PACKAGING}/debian/${package}/${script})
  endforeach()
  set(CPACK_DEBIAN_${upper}_PACKAGE_CONTROL_EXTRA ${scripts})
endforeach()
include(CPack)
