# home-manager: programs.agentbox, for one user, also on a system that is not NixOS.
{ config, lib, pkgs, ... }:

let
  cfg = config.programs.agentbox;
  shared = import ./options.nix { inherit lib pkgs cfg; };
in
{
  options.programs.agentbox = shared.options;

  config = lib.mkIf cfg.enable {
    inherit (shared) assertions;
    home.packages = shared.packages;
    # File by file: the folder stays the user's own, and a profile that he wrote by hand can lie beside them.
    xdg.configFile = lib.mapAttrs'
      (name: _: lib.nameValuePair "agentbox/profiles/${name}.toml" {
        source = "${shared.checkedProfiles}/agentbox/profiles/${name}.toml";
      })
      cfg.profiles;
  };
}
