# nix run github:portscope/portscope?dir=packaging/nix
{
  description = "Inspector of the ports in use on a host";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    portscope = { url = "github:portscope/portscope/v0.1.0"; flake = false; };
  };

  outputs = { nixpkgs, portscope, ... }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
      forEach = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
    in {
      packages = forEach (pkgs: {
        default = pkgs.rustPlatform.buildRustPackage {
          pname = "portscope";
          version = "0.1.0";
          src = portscope;
          cargoLock.lockFile = "${portscope}/Cargo.lock";
          nativeBuildInputs = [ pkgs.installShellFiles ];
          # The tests of tests/ need root and real network namespaces.
          cargoTestFlags = [ "--lib" ];
          postInstall = ''
            mkdir man
            $out/bin/portscope man --all man
            installManPage man/*.1
            installShellCompletion --cmd portscope \
              --bash <($out/bin/portscope completions bash) \
              --zsh <($out/bin/portscope completions zsh) \
              --fish <($out/bin/portscope completions fish)
          '';
          meta = {
            homepage = "https://github.com/portscope/portscope";
            license = with pkgs.lib.licenses; [ mit asl20 ];
            mainProgram = "portscope";
          };
        };
      });
    };
}
