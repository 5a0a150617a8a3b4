# A stand-in for what the two modules use of nixpkgs' `lib` and `pkgs`, for a machine that has Nix but not nixpkgs. Each
# function behaves like its namesake there, as far as the modules call it; what is simplified is said beside it.
let
  inherit (builtins) attrNames concatLists concatStringsSep elem filter isAttrs isList isString listToAttrs map replaceStrings;

  nameValuePair = name: value: { inherit name value; };
  mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
  mapAttrs' = f: set: listToAttrs (mapAttrsToList f set);
  recursiveUpdate = left: right:
    left // builtins.mapAttrs
      (name: value:
        if isAttrs value && isAttrs (left.${name} or null) then recursiveUpdate left.${name} value else value)
      right;
  unique = builtins.foldl' (found: one: if elem one found then found else found ++ [ one ]) [ ];
  escapeShellArg = word:
    if builtins.match "[[:alnum:],._+:@%/-]+" (toString word) != null then toString word
    else "'${replaceStrings [ "'" ] [ "'\\''" ] (toString word)}'";

  # A type: does it take this value, and what becomes of it. (lib.types has merging as well; here one value is given.)
  type = name: check: { inherit name check; convert = _: value: value; };
  types = {
    str = type "string" isString;
    bool = type "boolean" builtins.isBool;
    package = type "package" (value: isAttrs value && value ? outPath);
    nullOr = inner: (type "null or ${inner.name}" (value: value == null || inner.check value));
    listOf = inner: type "list of ${inner.name}" (value: isList value && builtins.all inner.check value);
    attrsOf = inner: (type "attribute set of ${inner.name}" (value: isAttrs value
      && builtins.all inner.check (builtins.attrValues value))) // {
      convert = where: value: builtins.mapAttrs (name: inner.convert "${where}.${name}") value;
    };
    submodule = module: (type "submodule" isAttrs) // {
      convert = where: given:
        let
          name = builtins.baseNameOf (replaceStrings [ "." ] [ "/" ] where);
          made = module { inherit name; config = values; };
          values = settle where made.options given;
        in
        values;
    };
  };

  mkOption = option: option // { _type = "option"; };
  isOption = value: isAttrs value && (value._type or "") == "option";

  # What the module system makes of options and of one definition of each: defaults, types, no unknown names.
  settle = where: options: given:
    let
      unknown = filter (name: !(options ? ${name})) (attrNames given);
      value = name: option:
        let here = "${where}.${name}"; in
        if !isOption option then settle here option (given.${name} or { })
        else if !(given ? ${name}) && !(option ? default)
        then throw "The option `${here}' is used but not defined."
        else
          let one = given.${name} or option.default; in
          if option.type.check one then option.type.convert here one
          else throw "A definition for option `${here}' is not of type `${option.type.name}'.";
    in
    if unknown != [ ] then throw "The option `${where}.${builtins.head unknown}' does not exist."
    else builtins.mapAttrs value options;

  lib = {
    inherit concatLists concatStringsSep escapeShellArg mapAttrs' mapAttrsToList mkOption nameValuePair recursiveUpdate types unique;
    inherit (builtins) mapAttrs;
    concatStrings = concatStringsSep "";
    escapeShellArgs = words: concatStringsSep " " (map escapeShellArg words);
    optional = condition: value: if condition then [ value ] else [ ];
    literalExpression = text: { _type = "literalExpression"; inherit text; };
    mkEnableOption = name: mkOption { type = types.bool; default = false; description = "Whether to enable ${name}."; };
    # (lib.mkIf is lazy in its content; the tests look only at a module that is enabled, or at this marker.)
    mkIf = condition: content: { _type = "if"; inherit condition content; };
    hiPrio = package: package // { meta = (package.meta or { }) // { priority = -10; }; };
    getBin = package: package.bin or package;
    getExe = package: "${package.bin or package}/bin/${package.meta.mainProgram or package.name}";
  };

  package = name: {
    inherit name;
    outPath = "/store/${name}";
    meta.mainProgram = name;
  };

  pkgs = {
    agentbox = package "agentbox";
    # (pkgs.formats.toml makes a derivation; here the value is kept, for the tests to look at.)
    formats.toml = _: {
      type = (type "TOML value" isAttrs) // { name = "TOML value"; };
      generate = name: value: { inherit name value; outPath = "/store/${name}"; };
    };
    runCommand = name: _: text: { inherit name text; outPath = "/store/${name}"; };
    writeShellScriptBin = name: text: { inherit name text; outPath = "/store/${name}"; };
  };
in
{
  inherit lib pkgs package;

  # What nix/package.nix is called with.
  inputs = builtins.mapAttrs (name: _: package name) (builtins.functionArgs (import ../package.nix)) // {
    lib = lib // {
      cleanSourceWith = source: source.src;
      cleanSourceFilter = _: _: true;
      mesonBool = name: value: "-D${name}=${if value then "true" else "false"}";
      mesonOption = name: value: "-D${name}=${value}";
      getLib = one: one;
      licenses.asl20 = "Apache-2.0";
    };
    stdenv.mkDerivation = made: made;
    glibc = package "glibc" // { static = package "glibc-static"; };
  };

  # The configuration that `module` makes where `given` is set for programs.agentbox, beside `others`.
  evaluate = module: others: given:
    let
      parts = module { inherit lib pkgs config; };
      config = others // { programs.agentbox = settle "programs.agentbox" parts.options.programs.agentbox given; };
      made = if parts.config.condition then parts.config.content else { assertions = [ ]; };
    in
    made // { failed = map (one: one.message) (filter (one: !one.assertion) made.assertions); };
}
