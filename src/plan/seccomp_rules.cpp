// The base filter. Two walls stand behind it already (no capability, no further user namespace); it is there
// for the day when one of them has a hole, and for what neither covers: terminals, keyrings, snapshots,
// vsock.
//
// Which error a denied call gets is chosen so that honest programs go on:
//   EPERM         where an ordinary user would get it anyway
//   EINVAL        what a filesystem without leases says
//   ENOSYS        where a kernel without the feature gives it and programs have a second way (clone3, io_uring)
//   EAFNOSUPPORT, EPROTONOSUPPORT, ESOCKTNOSUPPORT, ENOPROTOOPT, EOPNOTSUPP
//                 what a kernel without that module or option says

#include <cerrno>

#include "agentbox/plan/seccomp.hpp"

namespace agentbox::plan {
namespace {

using Test = SeccompArgument::Test;
using Lift = SeccompGroup::Lift;

constexpr std::uint32_t all_bits = 0xffffffff;

// Values of the kernel's ABI, the same on x86-64 and aarch64. Spelled out, since a pure room includes no
// system header; the tests hold them against the kernel's own.
constexpr std::uint32_t tiocsti = 0x5412, tioclinux = 0x541c, tioccons = 0x541d, tiocsetd = 0x5423;
constexpr std::uint32_t btrfs_snap_create = 0x50009401, btrfs_snap_create_v2 = 0x50009417;
constexpr std::uint32_t btrfs_snap_destroy = 0x5000940f, btrfs_snap_destroy_v2 = 0x5000943f;
constexpr std::uint32_t bcachefs_subvolume_create = 0x4020bc10, bcachefs_subvolume_destroy = 0x4020bc11;

constexpr std::uint32_t clone_newtime = 0x80;
constexpr std::uint32_t clone_new_others = 0x20000        // CLONE_NEWNS
                                           | 0x2000000    // CLONE_NEWCGROUP
                                           | 0x4000000    // CLONE_NEWUTS
                                           | 0x8000000    // CLONE_NEWIPC
                                           | 0x10000000   // CLONE_NEWUSER
                                           | 0x20000000   // CLONE_NEWPID
                                           | 0x40000000;  // CLONE_NEWNET

constexpr std::uint32_t af_unix = 1, af_inet = 2, af_inet6 = 10, af_netlink = 16;
constexpr std::uint32_t ipproto_tcp = 6, ipproto_udp = 17;
constexpr std::uint32_t netlink_route = 0;
constexpr std::uint32_t sock_raw = 3;

constexpr std::uint32_t sol_socket = 1, so_linger = 13;
constexpr std::uint32_t f_setlease = 1024;
constexpr std::uint32_t file_type = 0170000, character_device = 0020000, block_device = 0060000;

SeccompArgument is(unsigned index, std::uint32_t value, std::string_view text, std::uint32_t mask = all_bits) {
  return {index, Test::is, mask, {value}, text};
}
SeccompArgument any_bit(unsigned index, std::uint32_t mask, std::string_view text) {
  return {index, Test::any_bit, mask, {}, text};
}
SeccompArgument not_one_of(unsigned index, std::vector<std::uint32_t> values, std::string_view text) {
  return {index, Test::not_one_of, all_bits, std::move(values), text};
}
// AF_INET (2) and AF_INET6 (10) differ in one bit: without it both are 2, and no other family is.
SeccompArgument internet() {
  static_assert((af_inet6 & ~8U) == af_inet);
  return is(0, af_inet, "AF_INET or _INET6", ~8U);
}

constexpr SeccompGroup groups[] = {
    {"terminal", Lift::never, "typing and drawing as if the owner did"},
    {"snapshots", Lift::never, "subvolumes, which see past mounts"},
    {"userns", Lift::by_profile, "namespaces and mounts: rooms within the room"},
    {"ptrace", Lift::by_profile, "debugging other processes"},
    {"io_uring", Lift::by_profile, "system calls that no filter sees"},
    {"keyring", Lift::by_profile, "the kernel's keyrings, which no namespace separates"},
    {"bpf", Lift::by_profile, "programs inside the kernel"},
    {"perf", Lift::by_profile, "performance counters"},
    {"userfaultfd", Lift::by_profile, "page faults handled in user space"},
    {"fanotify", Lift::by_profile, "watching whole filesystems"},
    {"personality", Lift::by_profile, "the ABI of ancient systems, and no address randomisation"},
    {"ldt", Lift::by_profile, "16-bit segments"},
    {"netlink", Lift::by_profile, "netlink beyond routes and addresses"},
    {"sockets", Lift::never, "sockets other than Unix, TCP and UDP"},
    {"delays", Lift::never, "making programs outside wait"},
    {"handles", Lift::never, "opening files by inode instead of by path"},
    {"devices", Lift::never, "making device nodes"},
    {"machine", Lift::never, "the machine as a whole"},
    {"obsolete", Lift::never, "calls that no program needs any more"},
};

void add_terminal(std::vector<SeccompRule>& rules) {
  const auto add = [&](SeccompArgument request, std::string_view reason) {
    rules.push_back({"ioctl", {std::move(request)}, EPERM, "terminal", reason});
  };
  add(is(1, tiocsti, "TIOCSTI"), "types into a terminal: the next shell there runs it");
  add(is(1, tioclinux, "TIOCLINUX"), "pastes the console's selection as typed text");
  add(is(1, tioccons, "TIOCCONS"), "takes over what the kernel prints on the console");
  add(is(1, tiocsetd, "TIOCSETD"), "loads rarely audited modules (CVE-2017-2636, CVE-2023-6546)");
}

void add_snapshots(std::vector<SeccompRule>& rules) {
  const auto add = [&](SeccompArgument request, std::string_view reason) {
    rules.push_back({"ioctl", {std::move(request)}, EPERM, "snapshots", reason});
  };
  constexpr std::string_view copies = "copies a subvolume without the mounts that hide parts of it";
  constexpr std::string_view removes = "removes a subvolume with what is protected in it";
  add(is(1, btrfs_snap_create, "BTRFS_IOC_SNAP_CREATE"), copies);
  add(is(1, btrfs_snap_create_v2, "BTRFS_IOC_SNAP_CREATE_V2"), copies);
  add(is(1, bcachefs_subvolume_create, "BCH_IOCTL_SUBVOLUME_CREATE"), copies);
  add(is(1, btrfs_snap_destroy, "BTRFS_IOC_SNAP_DESTROY"), removes);
  add(is(1, btrfs_snap_destroy_v2, "BTRFS_IOC_SNAP_DESTROY_V2"), removes);
  add(is(1, bcachefs_subvolume_destroy, "BCH_IOCTL_SUBVOLUME_DESTROY"), removes);
}

void add_namespaces(std::vector<SeccompRule>& rules) {
  const auto add = [&](std::string_view call, std::string_view reason, int error = EPERM) {
    rules.push_back({call, {}, error, "userns", reason});
  };
  // clone's lowest byte is the signal of the child's end, so CLONE_NEWTIME is no flag of it.
  rules.push_back({"clone",
                   {any_bit(0, clone_new_others, "any CLONE_NEW* flag")},
                   EPERM,
                   "userns",
                   "in a user namespace of its own a process has every capability"});
  rules.push_back(
      {"unshare", {any_bit(0, clone_new_others | clone_newtime, "any CLONE_NEW* flag")}, EPERM, "userns", "as clone"});
  add("clone3", "keeps its flags where no filter can read; programs fall back", ENOSYS);
  add("setns", "enters another namespace");
  add("mount", "changes what a path means");
  add("umount2", "uncovers what a mount hides");
  add("pivot_root", "changes what a path means");
  add("chroot", "changes what a path means");
  add("open_tree", "clones mounts, without what covers them");
  add("open_tree_attr", "as open_tree", ENOSYS);
  add("move_mount", "a step of the newer way to mount");
  add("fsopen", "a step of the newer way to mount");
  add("fsconfig", "a step of the newer way to mount");
  add("fsmount", "a step of the newer way to mount");
  add("fspick", "a step of the newer way to mount");
  add("mount_setattr", "makes a read-only mount writable");
  add("statmount", "describes mounts of any namespace; /proc has the own ones", ENOSYS);
  add("listmount", "as statmount", ENOSYS);
}

void add_processes(std::vector<SeccompRule>& rules) {
  rules.push_back({"ptrace", {}, EPERM, "ptrace", "controls another process; no filter can tell whose"});
  rules.push_back({"process_vm_readv", {}, EPERM, "ptrace", "reads another process's memory"});
  rules.push_back({"process_vm_writev", {}, EPERM, "ptrace", "writes another process's memory"});
  rules.push_back({"pidfd_getfd", {}, EPERM, "ptrace", "takes another process's open files"});
  rules.push_back({"kcmp", {}, EPERM, "ptrace", "compares kernel pointers of two processes"});
}

void add_subsystems(std::vector<SeccompRule>& rules) {
  constexpr std::string_view ring = "does what a filter forbids; a rich source of kernel bugs";
  rules.push_back({"io_uring_setup", {}, ENOSYS, "io_uring", ring});
  rules.push_back({"io_uring_enter", {}, ENOSYS, "io_uring", ring});
  rules.push_back({"io_uring_register", {}, ENOSYS, "io_uring", ring});
  constexpr std::string_view keys = "the owner's user keyring is shared by all of his processes";
  rules.push_back({"keyctl", {}, ENOSYS, "keyring", keys});
  rules.push_back({"add_key", {}, ENOSYS, "keyring", keys});
  rules.push_back({"request_key", {}, ENOSYS, "keyring", "starts /sbin/request-key outside of the room"});
  rules.push_back({"bpf", {}, EPERM, "bpf", "loads programs into the kernel"});
  rules.push_back({"perf_event_open", {}, EPERM, "perf", "measures others; a rich source of kernel bugs"});
  rules.push_back({"userfaultfd", {}, EPERM, "userfaultfd", "stops the kernel in mid-copy: the tool of race exploits"});
  rules.push_back({"fanotify_init", {}, EPERM, "fanotify", "watches filesystems, outside of the room too"});
  rules.push_back({"personality",
                   {not_one_of(0, {all_bits}, "all but the query")},
                   EPERM,
                   "personality",
                   "turns off address randomisation and other hardening"});
  rules.push_back({"modify_ldt", {}, ENOSYS, "ldt", "rarely run code of the kernel; 16-bit programs in Wine use it"});
}

void add_sockets(std::vector<SeccompRule>& rules) {
  rules.push_back({"socket",
                   {is(0, af_netlink, "AF_NETLINK"), not_one_of(2, {netlink_route}, "not NETLINK_ROUTE")},
                   EPROTONOSUPPORT,
                   "netlink",
                   "audit, netfilter, uevents: services for administrators"});
  // vsock is the reason why this can't be lifted: it knows no network namespace, and reaches the hypervisor.
  rules.push_back({"socket",
                   {not_one_of(0, {af_unix, af_inet, af_inet6, af_netlink}, "not AF_UNIX, _INET, _INET6, _NETLINK")},
                   EAFNOSUPPORT,
                   "sockets",
                   "vsock leaves every namespace; others are rarely audited"});
  rules.push_back({"socketpair",
                   {not_one_of(0, {af_unix}, "not AF_UNIX")},
                   EAFNOSUPPORT,
                   "sockets",
                   "loads the same modules as socket"});
  constexpr std::uint32_t type = 0xf;  // SOCK_TYPE_MASK; above it are SOCK_CLOEXEC and SOCK_NONBLOCK
  rules.push_back(
      {"socket", {internet(), is(1, sock_raw, "SOCK_RAW", type)}, EPERM, "sockets", "sends packets of any shape"});
  rules.push_back({"socket",
                   {internet(), is(1, 4, "types 4-7", type & ~3U)},
                   ESOCKTNOSUPPORT,
                   "sockets",
                   "DCCP, SCTP: rarely audited modules (CVE-2017-6074)"});
  rules.push_back({"socket",
                   {internet(), is(1, 8, "types 8-15", type & 8U)},
                   EPERM,
                   "sockets",
                   "SOCK_PACKET turns AF_INET into AF_PACKET"});
  rules.push_back({"socket",
                   {internet(), not_one_of(2, {0, ipproto_tcp, ipproto_udp}, "not 0, TCP, UDP")},
                   EPROTONOSUPPORT,
                   "sockets",
                   "SCTP, MPTCP, L2TP, ICMP, ...: rarely audited modules"});
}

// What is handed out of the room, or lies in the workspace, is closed and opened by others: agentbox, the owner's
// editor, git.
void add_delays(std::vector<SeccompRule>& rules) {
  rules.push_back({"setsockopt",
                   {is(1, sol_socket, "SOL_SOCKET"), is(2, so_linger, "SO_LINGER")},
                   ENOPROTOOPT,
                   "delays",
                   "whoever closes the socket last waits, for hours"});
  rules.push_back({"fcntl",
                   {is(1, f_setlease, "F_SETLEASE")},
                   EINVAL,
                   "delays",
                   "whoever opens the file waits until the lease is given up"});
}

void add_files(std::vector<SeccompRule>& rules) {
  rules.push_back({"open_by_handle_at", {}, EPERM, "handles", "opens any inode of a filesystem, past every mount"});
  rules.push_back({"name_to_handle_at", {}, EOPNOTSUPP, "handles", "the other half of it"});
  const auto add = [&](std::string_view call, unsigned mode) {
    rules.push_back({call,
                     {is(mode, character_device, "a character device", file_type)},
                     EPERM,
                     "devices",
                     "the room has the devices that it was given"});
    rules.push_back({call,
                     {is(mode, block_device, "a block device", file_type)},
                     EPERM,
                     "devices",
                     "the room has the devices that it was given"});
  };
  add("mknod", 1);
  add("mknodat", 2);
}

void add_machine(std::vector<SeccompRule>& rules) {
  const auto add = [&](std::string_view call, std::string_view reason) {
    rules.push_back({call, {}, EPERM, "machine", reason});
  };
  add("init_module", "loads code into the kernel");
  add("finit_module", "loads code into the kernel");
  add("delete_module", "unloads code of the kernel");
  add("kexec_load", "starts another kernel");
  add("kexec_file_load", "starts another kernel");
  add("reboot", "ends the machine");
  add("swapon", "lets memory go to a file");
  add("swapoff", "takes the machine's swap away");
  add("acct", "records every process of the machine in a file");
  add("quotactl", "reads and sets other users' quotas");
  add("quotactl_fd", "reads and sets other users' quotas");
  add("syslog", "reads and clears the kernel's log");
  add("sethostname", "renames the machine");
  add("setdomainname", "renames the machine");
  add("settimeofday", "sets the machine's clock");
  add("clock_settime", "sets the machine's clock");
  add("adjtimex", "steers the machine's clock");
  add("clock_adjtime", "steers the machine's clock");
  add("iopl", "reaches hardware ports");
  add("ioperm", "reaches hardware ports");
  add("vhangup", "takes the terminal from its session");
}

void add_obsolete(std::vector<SeccompRule>& rules) {
  const auto add = [&](std::string_view call, std::string_view reason) {
    rules.push_back({call, {}, ENOSYS, "obsolete", reason});
  };
  add("uselib", "loads libraries of the a.out format");
  add("_sysctl", "/proc/sys has it");
  add("sysfs", "lists filesystem types; /proc/filesystems has it");
  add("ustat", "statfs has it");
  add("lookup_dcookie", "names files for profilers");
}

std::vector<SeccompRule> make_base_filter() {
  std::vector<SeccompRule> rules;
  rules.reserve(96);
  add_terminal(rules);
  add_snapshots(rules);
  add_namespaces(rules);
  add_processes(rules);
  add_subsystems(rules);
  add_sockets(rules);
  add_delays(rules);
  add_files(rules);
  add_machine(rules);
  add_obsolete(rules);
  return rules;
}

}  // namespace

const std::vector<SeccompRule>& base_filter() {
  static const std::vector<SeccompRule> rules = make_base_filter();
  return rules;
}

std::span<const SeccompGroup> seccomp_groups() {
  return groups;
}

}  // namespace agentbox::plan
