# The options that the NixOS module and the home-manager module share, and what both make of them.
{ lib, pkgs, cfg }:

let
  toml = pkgs.formats.toml { };
  # As src/profile wants them: a name is a file's name.
  validName = name: builtins.match "[a-z0-9_-]+" name != null;
  shipped = [
    "base" "default" "shell"
    "claude" "codex" "gemini" "openclaw" "pi"
    "llama-server" "ollama"
    "c" "git" "go" "nix" "node" "python" "rust"
  ];

  # What the user wrote wins over the defaults, key by key. They go to those profiles that extend no other one of his: the
  # others have them from there, and would set back what it says otherwise.
  values = lib.mapAttrs
    (_: profile:
      if builtins.any (parent: cfg.profiles ? ${parent}) (profile.extends or [ ]) then profile
      else lib.recursiveUpdate cfg.defaults profile)
    cfg.profiles;

  # One folder with all of them, since one may extend another; each is held against the very program that will read it.
  checkedProfiles = pkgs.runCommand "agentbox-profiles" { } ''
    mkdir -p "$out/agentbox/profiles"
    ${lib.concatStrings (lib.mapAttrsToList (name: value: ''
      cp ${toml.generate "${name}.toml" value} "$out/agentbox/profiles/${name}.toml"
    '') values)}
    export HOME="$TMPDIR" XDG_CONFIG_HOME="$out"
    for file in "$out"/agentbox/profiles/*.toml; do
      [ -e "$file" ] || continue
      ${lib.getExe cfg.package} check "$(basename "$file" .toml)"
    done
  '';

  wrap = name: wrapper:
    lib.hiPrio (pkgs.writeShellScriptBin name ''
      exec ${lib.getExe cfg.package} run ${lib.escapeShellArg wrapper.profile} -- ${lib.escapeShellArgs wrapper.command} "$@"
    '');
in
{
  options = {
    enable = lib.mkEnableOption "agentbox, which runs AI agents in a room that holds only what you granted";

    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.agentbox;
      defaultText = lib.literalExpression "pkgs.agentbox";
      description = "The agentbox to use.";
    };

    defaults = lib.mkOption {
      type = toml.type;
      default = { };
      example = { limits.time = "8h"; approval.notify = [ "notify-send" "agentbox asks" ]; };
      description = "What each of `profiles` begins with, unless it extends another one of them; its own keys win.";
    };

    profiles = lib.mkOption {
      type = lib.types.attrsOf toml.type;
      default = { };
      example = {
        coding = {
          extends = [ "pi" ];
          network.allow = [{ to = "localhost:8080"; as = "llm"; }];
          commands.ask = [ "git push **" "git push -u **" ];
        };
      };
      description = ''
        Profiles by name, as agentbox-profile(5) describes them. `agentbox check` reads each while the system is built: a
        mistake stops the build, with the line.
      '';
    };

    wrappers = lib.mkOption {
      default = { };
      example = lib.literalExpression ''
        { pi = { package = pkgs.pi-coding-agent; profile = "coding"; }; }
      '';
      description = "Commands that always run in a room: typing the name starts `command` with the profile.";
      type = lib.types.attrsOf (lib.types.submodule ({ name, config, ... }: {
        options = {
          package = lib.mkOption {
            type = lib.types.nullOr lib.types.package;
            default = null;
            description = "Where the program comes from; needed unless `command` is given.";
          };
          profile = lib.mkOption {
            type = lib.types.str;
            default = name;
            description = "The name of the profile, of yours or a shipped one.";
          };
          command = lib.mkOption {
            type = lib.types.listOf lib.types.str;
            default = lib.optional (config.package != null) "${lib.getBin config.package}/bin/${name}";
            defaultText = lib.literalExpression ''[ "''${package}/bin/''${name}" ]'';
            description = "What is run in the room; the words that were typed after the name follow it.";
          };
        };
      }));
    };
  };

  assertions =
    lib.mapAttrsToList
      (name: _: {
        assertion = validName name;
        message = "programs.agentbox.profiles: \"${name}\" can't be a profile's name: use a-z, 0-9, '_' and '-'";
      })
      cfg.profiles
    ++ lib.concatLists (lib.mapAttrsToList
      (name: wrapper: [
        {
          assertion = builtins.elem wrapper.profile shipped || cfg.profiles ? ${wrapper.profile};
          message = "programs.agentbox.wrappers.${name}: there is no profile \"${wrapper.profile}\"; there are "
            + lib.concatStringsSep ", " (lib.unique (builtins.attrNames cfg.profiles ++ shipped));
        }
        {
          assertion = wrapper.command != [ ];
          message = "programs.agentbox.wrappers.${name}: say which program it is: set `package` or `command`";
        }
        {
          assertion = name != "agentbox";
          message = "programs.agentbox.wrappers.agentbox: agentbox can't run in a room of its own: choose another name";
        }
      ])
      cfg.wrappers);

  inherit checkedProfiles shipped values;
  packages = [ cfg.package ] ++ lib.mapAttrsToList wrap cfg.wrappers;
}
