# A NixOS machine on which an agent asks, and its owner answers: at the terminal, and with `agentbox approve`.
{ self }:
{
  name = "agentbox-question";

  nodes.machine = { pkgs, ... }: {
    imports = [ self.nixosModules.default ];
    users.users.alice = { isNormalUser = true; password = "alice"; };
    environment.systemPackages = [ pkgs.jq pkgs.tmux ];
    programs.agentbox = {
      enable = true;
      profiles.asks = {
        extends = [ "default" ];
        commands = { ask = [ "cp **" ]; deny = [ "date **" ]; };
      };
      wrappers.roomy = { profile = "asks"; command = [ "${pkgs.bash}/bin/bash" "-c" ]; };
    };
  };

  testScript = ''
    def alice(command):
        return "su - alice -c " + repr("cd ~/project && " + command)

    machine.wait_for_unit("multi-user.target")
    machine.succeed("su - alice -c 'mkdir project; echo secret >~/key; echo content >project/a'")

    with subtest("the machine can enforce a room"):
        machine.succeed(alice("agentbox doctor"))

    with subtest("what was not granted is not there"):
        machine.succeed(alice("cat ~/key"))
        machine.fail(alice("roomy 'cat ~/key'"))
        machine.succeed(alice("roomy 'cat a'"))

    with subtest("without a terminal and without anybody to ask it is denied"):
        machine.fail(alice("agentbox run --on-ask deny asks -- agentbox host -- cp a b"))

    with subtest("a question is answered with agentbox approve"):
        machine.succeed(alice("(agentbox run --on-ask queue asks -- agentbox host -- cp a b; echo $? >../code) >../out 2>&1 &"))
        machine.wait_until_succeeds(alice("agentbox approve --list | grep -q 'cp a b'"))
        machine.succeed(alice("agentbox approve --answer $(agentbox approve --list --json | jq -r '.question | .session + "/" + .id') --once"))
        machine.wait_until_succeeds("grep -qx 0 /home/alice/code")
        machine.succeed("cmp /home/alice/project/a /home/alice/project/b")

    with subtest("a question is answered at the terminal"):
        machine.succeed(alice("rm b; tmux new-session -d -x 100 -y 40 'agentbox run asks -- agentbox host -- cp a b'"))
        machine.wait_until_succeeds(alice("tmux capture-pane -p | grep -q 'run a command on your machine'"))
        machine.wait_until_fails(alice("tmux capture-pane -p | grep -q 'keys work in a moment'"))
        machine.succeed(alice("tmux send-keys o"))
        machine.wait_until_succeeds("cmp /home/alice/project/a /home/alice/project/b")
  '';
}
