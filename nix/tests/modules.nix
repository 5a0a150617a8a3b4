# Both modules with right and wrong configurations; the value is what tests/nix/nix_test.py looks at.
let
  stand-in = import ./lib.nix;
  inherit (stand-in) evaluate package;
  nixos = others: evaluate (import ../module.nix) ({ security = { }; boot.kernel = { }; } // others);
  home = evaluate (import ../home-manager.nix) { };

  full = {
    enable = true;
    defaults = { limits.time = "8h"; approval.timeout = "5m"; };
    profiles = {
      coding = {
        extends = [ "pi" ];
        network.allow = [{ to = "localhost:8080"; as = "llm"; }];
        limits.processes = 512;
      };
      mine = { extends = [ "coding" ]; limits.time = "1h"; };
    };
    wrappers = {
      pi = { package = package "pi"; profile = "coding"; };
      sh-here = { profile = "shell"; command = [ "/bin/sh" "-c" "echo it's" ]; };
    };
  };
  options = cfg: import ../options.nix { inherit (stand-in) lib pkgs; inherit cfg; };
  scripts = packages: builtins.listToAttrs (map (one: { inherit (one) name; value = one.text or ""; }) packages);
  try = value: let tried = builtins.tryEval (builtins.deepSeq value value); in if tried.success then tried.value else "refused";
in
{
  nixos = let made = nixos { } full; in {
    inherit (made) failed;
    scripts = scripts made.environment.systemPackages;
    etc = made.environment.etc."agentbox/profiles".source;
    modules = made.boot.kernelModules;
    priority = map (one: one.meta.priority or 0) made.environment.systemPackages;
  };
  home = let made = home full; in {
    inherit (made) failed;
    scripts = scripts made.home.packages;
    files = builtins.mapAttrs (_: file: file.source) made.xdg.configFile;
  };
  values = (options full).values;
  shipped = (options full).shipped;
  package = let made = import ../package.nix stand-in.inputs; in { inherit (made) version mesonFlags; };
  example =
    let given = (import ../examples/local.nix { pkgs.pi-coding-agent = package "pi-coding-agent"; }).programs.agentbox; in
    { inherit (nixos { } given) failed; inherit (options given) values; };
  # Nothing is said by a module that is off.
  off = nixos { } { };
  minimal = let made = home { enable = true; }; in { inherit (made) failed; packages = map toString made.home.packages; };

  wrong = {
    profile = (nixos { } { enable = true; wrappers.pi = { package = package "pi"; profile = "codng"; }; profiles.coding = { }; }).failed;
    program = (home { enable = true; wrappers.pi = { }; }).failed;
    name = (home { enable = true; profiles."../x" = { }; }).failed;
    itself = (home { enable = true; wrappers.agentbox = { profile = "shell"; command = [ "sh" ]; }; }).failed;
    namespaces = (nixos { security.allowUserNamespaces = false; } { enable = true; }).failed;
    clone = (nixos { boot.kernel.sysctl."kernel.unprivileged_userns_clone" = 0; } { enable = true; }).failed;
    most = (nixos { boot.kernel.sysctl."user.max_user_namespaces" = 0; } { enable = true; }).failed;
    unknown = try (home { enable = true; profile = "x"; }).failed;
    type = try (home { enable = true; wrappers.pi = { profile = [ "x" ]; }; }).failed;
  };
}
