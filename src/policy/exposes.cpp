// What a room of this profile still exposes, in plain words, for whoever reads `explain`.

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"

#include "draft.hpp"

namespace agentbox::policy {

namespace {

using base::AbsPath;
using std::string_view_literals::operator""sv;

// Files in $HOME that a program outside runs by itself, some day after the room is gone.
constexpr std::array start_up_files = {
    ".bashrc"sv,
    ".bash_profile"sv,
    ".bash_login"sv,
    ".profile"sv,
    ".bash_logout"sv,
    ".zshrc"sv,
    ".zshenv"sv,
    ".zprofile"sv,
    ".zlogin"sv,
    ".config/fish"sv,
    ".config/autostart"sv,
    ".config/systemd"sv,
    ".config/environment.d"sv,
    ".config/git/config"sv,
    ".gitconfig"sv,
    ".ssh"sv,
    ".config/nvim"sv,
    ".vimrc"sv,
    ".vim"sv,
    ".emacs"sv,
    ".emacs.d"sv,
    ".local/bin"sv,
    "bin"sv,
    ".local/share/applications"sv,
    ".config/Code"sv,
    ".tmux.conf"sv,
    ".direnvrc"sv,
    ".config/direnv"sv,
    ".npmrc"sv,
    ".cargo/bin"sv,
    ".cargo/config.toml"sv,
    ".config/nix"sv,
    ".xprofile"sv,
    ".xinitrc"sv,
};

void say_files(Draft& draft) {
  const Policy& policy = draft.policy;
  for (const Mount& mount : policy.mounts) {
    if (mount.kind == FileKind::socket && mount.why != Mount::Why::device) {
      draft.note(Note::Kind::exposes,
                 fmt::format("whatever listens at {} obeys the agent as it obeys you", shown(mount.target)),
                 mount.origin);
    }
    if (mount.access != Access::write || (mount.why != Mount::Why::grant && mount.why != Mount::Why::workspace))
      continue;
    for (std::string_view name : start_up_files) {
      AbsPath file = draft.facts.user.home / name;
      if (!file.is_within(mount.target) || !draft.tree.is_writable(file)) continue;
      draft.note(Note::Kind::exposes,
                 fmt::format("{} is writable: what is put there runs outside the room one day", shown(file)),
                 mount.origin);
    }
  }
}

void say_devices(Draft& draft) {
  const auto& devices = draft.profile.devices;
  if (draft.policy.devices.gpu) {
    draft.note(Note::Kind::exposes,
               "the GPU's driver in the kernel, and the description of this machine's hardware in /sys",
               devices.gpu->origin);
  }
  if (draft.policy.devices.audio) {
    draft.note(Note::Kind::exposes, "the microphone and all that is played: PipeWire gives both",
               devices.audio->origin);
  }
  if (draft.policy.devices.display) {
    draft.note(Note::Kind::exposes, "windows on your screen that may look like others, and the clipboard",
               devices.display->origin);
  }
}

}  // namespace

void say_what_it_exposes(Draft& draft) {
  const Policy& policy = draft.policy;
  say_files(draft);
  for (const Loopback& loopback : policy.loopback) {
    if (loopback.speech == profile::Speech::llm) continue;
    draft.note(
        Note::Kind::exposes,
        fmt::format("whatever the server at localhost:{} can do, the agent can do: fetch, send and change things",
                    loopback.port),
        loopback.origin);
  }
  for (const auto& rule : draft.profile.network.allow) {
    if (rule.value.kind == profile::HostKind::localhost) continue;
    draft.note(
        Note::Kind::exposes,
        fmt::format("all that the agent can read may be sent to {} without a question", base::escape(rule.value.text)),
        rule.origin);
  }
  if (const auto& otherwise = draft.profile.network.default_;
      otherwise && otherwise->value == profile::Default::allow) {
    draft.note(Note::Kind::exposes, "all that the agent can read may be sent to any host, unasked", otherwise->origin);
  }
  for (const auto& publication : draft.profile.network.publish) {
    draft.note(
        Note::Kind::exposes,
        publication.value.serves == profile::Serves::raw
            ? fmt::format("a browser that opens localhost:{} runs the agent's page, which can carry data out; raw "
                          "= true puts no policy on it",
                          publication.value.outside)
            : fmt::format("a browser that opens the page at port {} runs the agent's script, which loads nothing "
                          "from elsewhere, but can lead the browser to another address",
                          publication.value.outside),
        publication.origin);
  }
  for (const auto& rule : draft.profile.commands.allow) {
    draft.note(Note::Kind::exposes,
               fmt::format("`{}` runs outside the room, with your rights and without a question",
                           base::escape(rule.value.text)),
               rule.origin);
  }
  if (const auto& otherwise = draft.profile.commands.default_;
      otherwise && otherwise->value == profile::Default::allow) {
    draft.note(Note::Kind::exposes,
               "everything: whatever command no rule names runs outside the room, with your rights, unasked",
               otherwise->origin);
  }
  if (const auto& messages = draft.policy.rules.messages; !messages.ways.empty()) {
    for (const auto& rule : messages.lists.allow) {
      draft.note(Note::Kind::exposes,
                 fmt::format("all that the agent can read may be written to {}, after a yes to the first message",
                             base::escape(rule.value.text)),
                 rule.origin);
    }
    if (messages.lists.default_ == profile::Default::allow && messages.lists.default_origin) {
      draft.note(Note::Kind::exposes,
                 "all that the agent can read may be written to anybody, after a yes to the first message",
                 *messages.lists.default_origin);
    }
  }
  if (const auto& spending = draft.profile.spending; spending.limit && spending.pay_command) {
    draft.note(Note::Kind::exposes,
               fmt::format("your money: {} is paid to whomever the agent names, without a question",
                           spending.limit->value.text),
               spending.limit->origin);
  }
  for (const auto& group : draft.profile.seccomp.allow) {
    draft.note(Note::Kind::exposes,
               group.value == "userns"
                   ? "parts of the kernel that only root reaches otherwise: namespaces and mounts of the agent's own"
                   : fmt::format("the system calls of the group '{}', which other rooms don't have",
                                 base::escape(group.value)),
               group.origin);
  }
  say_devices(draft);
}

}  // namespace agentbox::policy
