// The table of programs that run other programs. What is not here is "plain": nothing is known of it, and no yes about it
// lasts longer than the session. So a gap in this table costs a session's trust at most, never a lasting one; lasting
// trust is given only by the grammars of grammars.cpp and git.cpp.

#include "programs.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace agentbox::policy {

namespace {

// The same reason for many names.
struct Group {
  Trust trust;
  std::string_view why;
  std::string_view names;  // separated by one space
};

constexpr Trust runs = Trust::interpreter, finds = Trust::runs_files;

constexpr std::array groups{
    Group{runs, "a shell runs whatever text it is given",
          "sh bash dash zsh fish ksh mksh oksh ash tcsh csh rbash yash elvish nu xonsh rc pwsh powershell cmd"},
    Group{runs, "one program with many others in it, shells among them", "busybox toybox coreutils"},
    Group{
        runs, "runs the program that its arguments name",
        "env xargs nice ionice chrt taskset nohup timeout setsid stdbuf time unbuffer script watch flock parallel "
        "chroot "
        "unshare nsenter setpriv capsh prlimit setarch linux32 linux64 i386 x86_64 start-stop-daemon dbus-run-session "
        "dbus-launch xvfb-run firejail bwrap fakeroot proot eatmydata tini dumb-init catatonit command exec eval chpst "
        "daemonize numactl cgexec systemd-inhibit ssh-agent entr ld.so ld-linux ld-linux-x86-64 ld-linux-aarch64"},
    Group{runs, "runs the program that its arguments name, as another user",
          "sudo doas su runuser pkexec run0 gosu su-exec sg newgrp"},
    Group{runs, "hands a program to be run to a service, now or later",
          "systemd-run systemctl at batch crontab gtk-launch gio dex exo-open kde-open run-mailcap"},
    Group{runs, "runs the program text or file that its arguments name",
          "python pypy ipython perl ruby irb node nodejs deno bun php lua luajit tclsh wish expect guile racket sbcl "
          "clisp "
          "ocaml ghci runghc runhaskell julia R Rscript octave java jshell groovy scala kotlin erl escript elixir iex "
          "swipl "
          "gforth gjs qjs osascript bpython"},
    Group{runs, "its expressions can run programs", "awk gawk mawk nawk original-awk sed m4 dc ed ex bpftrace"},
    Group{runs, "-exec and its kin run programs", "find fd fdfind"},
    Group{runs, "an option names a program that it runs",
          "tar bsdtar gtar cpio zip unzip rsync sort split rg wget tcpdump gpg gpg2 openssl ssh-keygen ssh-add ip nc "
          "ncat "
          "netcat socat strace ltrace valgrind perf hg svn cvs bzr git-shell"},
    Group{runs, "runs commands on another machine, and local ones through its options",
          "ssh scp sftp mosh autossh sshfs rsh rlogin telnet ftp lftp ansible"},
    Group{runs, "has commands that start a shell",
          "gdb lldb vi vim nvim view gvim vimdiff rvim emacs emacsclient nano micro less more most man info w3m lynx "
          "mutt "
          "neomutt mail mailx sqlite psql mysql mariadb"},
    Group{runs, "its commands reach the whole machine",
          "docker podman nerdctl buildah ctr lxc lxc-attach incus kubectl machinectl flatpak snap qemu qemu-system "
          "qemu-system-x86_64 virsh"},
    Group{
        runs, "starts programs in a terminal of their own",
        "tmux screen dtach abduco zellij xterm gnome-terminal konsole alacritty kitty foot wezterm x-terminal-emulator "
        "code codium subl"},
    Group{runs, "fetches and runs the package that its arguments name",
          "npx pnpx bunx uvx pipx nix nix-shell guix corepack"},
    Group{finds, "runs files that the agent can write",
          "ninja samu bmake ctest cpack tox nox pytest py.test just task rake gradle gradlew mvn mvnw ant sbt lein "
          "mill bazel "
          "bazelisk buck scons waf nix-build composer phpunit msbuild swift stack cabal mix rebar poetry pdm hatch "
          "pipenv "
          "docker-compose podman-compose vagrant terraform tofu pulumi pre-commit lefthook eslint prettier tsc ts-node "
          "tsx "
          "jest vitest mocha webpack vite rollup esbuild turbo nx lerna grunt gulp jake mage earthly act direnv "
          "ansible-playbook helm sphinx-build mkdocs jekyll hugo quarto latexmk pdflatex xelatex lualatex latex tex "
          "autoconf autoreconf automake dpkg-buildpackage debuild rpmbuild makepkg meson mypy pylint ruff black "
          "playwright "
          "cypress next nuxt astro expo flutter dart zig crystal shards nimble dub"},
};

constexpr std::array<std::string_view, 5> make_runs{"--eval", "--eval=", "SHELL=", "-f-", "-E"};
constexpr std::array<std::string_view, 2> cmake_runs{"-P", "-E"};
constexpr std::array<std::string_view, 4> npm_runs{"exec", "x", "dlx", "create"};
constexpr std::array<std::string_view, 3> cargo_runs{"--config", "--config=", "install"};
constexpr std::array<std::string_view, 6> go_runs{"run", "install", "-exec", "-exec=", "-toolexec", "-toolexec="};
constexpr std::array<std::string_view, 3> install_runs{"install", "wheel", "download"};
constexpr std::array<std::string_view, 4> exec_runs{"exec", "run", "tool", "runtime"};

constexpr std::string_view why_finds = "runs files that the agent can write";
// These run files of the working directory, and with some words what the arguments name.
constexpr std::array mixed{
    KnownProgram{"make", finds, why_finds, make_runs},   KnownProgram{"gmake", finds, why_finds, make_runs},
    KnownProgram{"cmake", finds, why_finds, cmake_runs}, KnownProgram{"npm", finds, why_finds, npm_runs},
    KnownProgram{"pnpm", finds, why_finds, npm_runs},    KnownProgram{"yarn", finds, why_finds, npm_runs},
    KnownProgram{"cargo", finds, why_finds, cargo_runs}, KnownProgram{"go", finds, why_finds, go_runs},
    KnownProgram{"pip", finds, why_finds, install_runs}, KnownProgram{"gem", finds, why_finds, install_runs},
    KnownProgram{"bundle", finds, why_finds, exec_runs}, KnownProgram{"bundler", finds, why_finds, exec_runs},
    KnownProgram{"uv", finds, why_finds, exec_runs},     KnownProgram{"dotnet", finds, why_finds, exec_runs},
};

constexpr std::size_t count_names() {
  std::size_t count = mixed.size();
  for (const Group& group : groups) count += static_cast<std::size_t>(std::ranges::count(group.names, ' ')) + 1;
  return count;
}

// All names, sorted, made by the compiler.
constexpr auto table = [] {
  std::array<KnownProgram, count_names()> all{};
  std::size_t at = 0;
  for (const KnownProgram& one : mixed) all[at++] = one;
  for (const Group& group : groups) {
    for (std::string_view rest = group.names; !rest.empty();) {
      std::string_view name = rest.substr(0, rest.find(' '));
      rest.remove_prefix(std::min(name.size() + 1, rest.size()));
      all[at++] = {.name = name, .trust = group.trust, .why = group.why};
    }
  }
  std::ranges::sort(all, {}, &KnownProgram::name);
  return all;
}();
static_assert(std::ranges::adjacent_find(table, {}, &KnownProgram::name) == table.end(), "a program stands here twice");

const KnownProgram* exactly(std::string_view name) {
  auto found = std::ranges::lower_bound(table, name, {}, &KnownProgram::name);
  return found != table.end() && found->name == name ? &*found : nullptr;
}

// "gcc-12" → "gcc", "python3" → "python".
std::string_view without_version(std::string_view name) {
  std::size_t end = name.find_last_not_of("0123456789.-");
  return end == std::string_view::npos ? name : name.substr(0, end + 1);
}

bool is_command(const KnownProgram& program, std::string_view argument) {
  return std::ranges::any_of(program.commands, [&](std::string_view word) {
    return word.ends_with('=') ? argument.starts_with(word) : argument == word;
  });
}

// Looked at by every path that it has. What many programs share (busybox, coreutils) tells only by the name it is
// called by.
enum class By { call, resolution };
Knowledge by_table(std::string_view name, const Command& command, By by) {
  const KnownProgram* known = known_program(name);
  if (known == nullptr) return {};
  bool is_many = name.starts_with("busybox") || name.starts_with("toybox") || name.starts_with("coreutils");
  if (by == By::resolution && is_many) return {};
  bool names_program = std::any_of(command.argv.begin() + 1, command.argv.end(),
                                   [&](const std::string& argument) { return is_command(*known, argument); });
  if (names_program) return {Trust::interpreter, "runs what its arguments name"};
  return {known->trust, std::string(known->why)};
}

// Only for a program that has no grammar.
Knowledge worse(Knowledge one, Knowledge other) {
  return one.trust >= other.trust ? std::move(one) : std::move(other);
}

std::string_view file_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

const KnownProgram* known_program(std::string_view name) {
  std::string_view stem = name.substr(0, name.find('.'));
  for (std::string_view candidate : {name, without_version(name), stem, without_version(stem)}) {
    if (const KnownProgram* found = exactly(candidate)) return found;
  }
  return nullptr;
}

bool runs_others(const Command& command) {
  if (command.argv.empty()) return false;
  Knowledge known = by_table(file_name(command.argv[0]), command, By::call);
  if (command.program) known = worse(std::move(known), by_table(command.program->path.name(), command, By::resolution));
  return known.trust == Trust::interpreter;
}

Knowledge knowledge_of(const Command& command) {
  if (command.argv.empty()) return {};
  std::string_view name = file_name(command.argv[0]);
  std::span<const std::string> arguments = std::span(command.argv).subspan(1);
  Knowledge known = by_table(name, command, By::call);
  if (command.program) known = worse(std::move(known), by_table(command.program->path.name(), command, By::resolution));
  std::optional<base::AbsPath> named = base::AbsPath::parse(command.argv[0]);
  auto is_local = [&](const base::AbsPath& path) {
    return !command.directory.is_root() && path.is_within(command.directory);
  };
  if ((named && is_local(*named)) || (command.program && is_local(command.program->path))) {
    known = worse(std::move(known), {Trust::runs_files, "the program lies where the agent can write"});
  }
  if (known.trust != Trust::plain) return known;
  return knowledge_by_grammar(name, arguments).value_or(std::move(known));
}

}  // namespace agentbox::policy
