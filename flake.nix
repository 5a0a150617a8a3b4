{
  description = "Runs AI agents in a room that holds only what you granted";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      forEach = nixpkgs.lib.genAttrs systems;
      pkgsFor = forEach (system: import nixpkgs { inherit system; overlays = [ self.overlays.default ]; });
    in
    {
      overlays.default = final: _: { agentbox = final.callPackage ./nix/package.nix { }; };

      packages = forEach (system: {
        inherit (pkgsFor.${system}) agentbox;
        default = pkgsFor.${system}.agentbox;
      });

      nixosModules.default = { pkgs, lib, ... }: {
        imports = [ ./nix/module.nix ];
        programs.agentbox.package = lib.mkDefault self.packages.${pkgs.stdenv.hostPlatform.system}.default;
      };
      homeManagerModules.default = { pkgs, lib, ... }: {
        imports = [ ./nix/home-manager.nix ];
        programs.agentbox.package = lib.mkDefault self.packages.${pkgs.stdenv.hostPlatform.system}.default;
      };

      # What a change needs: `nix develop`, then `meson setup build && ninja -C build && meson test -C build`.
      devShells = forEach (system:
        let pkgs = pkgsFor.${system}; in {
          default = pkgs.mkShell {
            inputsFrom = [ pkgs.agentbox ];
            packages = with pkgs; [ bubblewrap clang-tools git tmux mandoc msmtp python3Packages.aiosmtpd ];
          };
        });

      checks = forEach (system:
        let pkgs = pkgsFor.${system}; in {
          package = pkgs.agentbox;
          question = pkgs.testers.runNixOSTest (import ./nix/tests/question.nix { inherit self; });
        });

      formatter = forEach (system: pkgsFor.${system}.nixpkgs-fmt);
    };
}
