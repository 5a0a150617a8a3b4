# A machine on which nothing leaves the house: a model server, the agent pi in its room, and a messaging daemon whose port
# the room does not have: the agent reaches it through agentbox alone, recipient by recipient.
{ pkgs, ... }:
{
  services.llama-cpp = {
    enable = true;
    port = 8080;
    model = "/var/lib/models/coder.gguf";
    # It takes anything from anybody who reaches it, so nobody else may.
    host = "127.0.0.1";
    openFirewall = false;
  };

  programs.agentbox = {
    enable = true;

    defaults = {
      limits.time = "8h";
      approval.notify = [ "notify-send" "agentbox" ];
    };

    profiles.coding = {
      description = "pi with the local model; pushing asks";
      extends = [ "pi" ];
      workspace.hide = [ "**/.env" ];
      # As far as a model's user needs it. The daemon's port 6000 is not in this list, and so not in the room.
      network.allow = [{ to = "localhost:8080"; as = "llm"; }];
      commands.ask = [ "git push **" ];
    };

    # Typing `pi` runs it in its room, in the current directory.
    wrappers.pi = { package = pkgs.pi-coding-agent; profile = "coding"; };
  };
}
