# For nixpkgs' callPackage. Everything that is found at run time is given as a full path here: a store has no common folder
# of libraries, and bubblewrap must be root's own.
{ lib
, stdenv
, meson
, ninja
, pkg-config
, python3
, mandoc
, boost
, bubblewrap
, cli11
, fmt
, libcap
, libpsl
, libseccomp
, nettle
, nftables
, nlohmann_json
, openssl
, sqlite
, tomlplusplus
, glibc
}:

stdenv.mkDerivation {
  pname = "agentbox";
  version = builtins.head (builtins.match ".*\n  version: '([0-9.]+)'.*" (builtins.readFile ../meson.build));

  src = lib.cleanSourceWith {
    src = ../.;
    filter = path: type: lib.cleanSourceFilter path type && baseNameOf path != "build";
  };

  strictDeps = true;
  nativeBuildInputs = [ meson ninja pkg-config python3 mandoc ];
  buildInputs = [
    boost
    cli11
    fmt
    libcap
    libseccomp
    nettle
    nlohmann_json
    openssl
    sqlite
    tomlplusplus
    # What runs inside the room before the agent is static, so that it needs nothing of the room.
    glibc.static
  ];

  mesonBuildType = "release";
  mesonFlags = [
    # The end-to-end tests need namespaces within the build, which few builders allow; the checks of the flake have them.
    (lib.mesonBool "tests" false)
    (lib.mesonOption "bwrap" (lib.getExe bubblewrap))
    (lib.mesonOption "ssl_library" "${lib.getLib openssl}/lib/libssl.so.3")
    (lib.mesonOption "sqlite_library" "${lib.getLib sqlite}/lib/libsqlite3.so.0")
    (lib.mesonOption "nftables_library" "${lib.getLib nftables}/lib/libnftables.so.1")
    (lib.mesonOption "psl_library" "${lib.getLib libpsl}/lib/libpsl.so.5")
  ];

  meta = {
    description = "Runs AI agents in a room that holds only what you granted, and asks you before anything leaves it";
    license = lib.licenses.asl20;
    platforms = [ "x86_64-linux" "aarch64-linux" ];
    mainProgram = "agentbox";
  };
}
