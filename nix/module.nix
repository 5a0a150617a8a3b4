# NixOS: programs.agentbox.
{ config, lib, pkgs, ... }:

let
  cfg = config.programs.agentbox;
  shared = import ./options.nix { inherit lib pkgs cfg; };
  # null: not set, which means yes.
  userNamespaces = config.security.allowUserNamespaces or true;
  sysctl = config.boot.kernel.sysctl or { };
in
{
  options.programs.agentbox = shared.options;

  config = lib.mkIf cfg.enable {
    assertions = shared.assertions ++ [
      {
        assertion = userNamespaces;
        message = "programs.agentbox: rooms are made of user namespaces: set security.allowUserNamespaces = true";
      }
      {
        assertion = toString (sysctl."kernel.unprivileged_userns_clone" or 1) != "0";
        message = "programs.agentbox: boot.kernel.sysctl.\"kernel.unprivileged_userns_clone\" = 0 keeps ordinary users from"
          + " making namespaces, and agentbox from making rooms";
      }
      {
        assertion = toString (sysctl."user.max_user_namespaces" or 1) != "0";
        message = "programs.agentbox: boot.kernel.sysctl.\"user.max_user_namespaces\" = 0 keeps everybody from making"
          + " namespaces, and agentbox from making rooms";
      }
    ];

    environment.systemPackages = shared.packages;
    environment.etc."agentbox/profiles".source = "${shared.checkedProfiles}/agentbox/profiles";
    # An ordinary user can't have them loaded; without them hosts are reached through the room's proxies alone.
    boot.kernelModules = [ "nf_tables" "nft_chain_nat" "nft_redir" "nft_reject_inet" "nft_ct" ];
  };
}
