// Programs on a host itself, here or at the far end of ssh. The host keeps each by itself: a small program of ours goes into the
// background there with a session of its own, so neither our end nor that of the connection reaches it.
//
//     <machinesFolder>/.us-programs/<id>/claim     the keeper: pid, start and boot; put there by link(2), so the first one wins
//                                        program   the leader of the program's group, in the same form
//                                        end       one line, then the kept output
//                                        work/     where the program runs
//                                        context   what was too long for a variable
//
// A kill between any two lines leaves: before the claim nothing was begun, and asking again begins it; after it, an end, or a
// keeper that lives, or `lost`. The claim is on the disk before the program starts. Nothing of an order is written down, and
// nothing of it stands in an argument of ours: it comes through the input.
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Refusal } from '@understudy/base/errors'
import type { HostProgram, HostProgramState, HostPrograms } from '@understudy/engine/ports/host-programs'
import type { Host } from './host.ts'
import { hostFailed } from './local-host.ts'

/** As on our own server: a small environment, and nothing of ours. */
const ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LANG: 'C.UTF-8',
}
/** Longer than any program may run, so that whoever is still asked for is not removed. */
const KEPT_DAYS = 8
const END_MILLISECONDS = 10_000
const POLL_MILLISECONDS = 100

/**
 * Perl, as in dead-mans-thaw.ts: it starts programs without a shell. An order is fields with NULs between them; half of one, when
 * whoever gave it was killed, begins nothing.
 */
const KEEPER = String.raw`
use strict; use POSIX (); use Errno (); use IO::Handle;
umask 077;
my ($root, $id) = @ARGV; my $folder = "$root/$id";
binmode STDIN; my @order = split /\0/, do { local $/; <STDIN> // "" }, -1;
exit 0 unless @order && pop(@order) eq "whole";
my ($limit, $head_most, $tail_most, $count, @rest) = @order;
my @program = splice @rest, 0, $count;
my $context = shift @rest;
my %environment = (HOME => $ENV{HOME} // "/", map { split /=/, $_, 2 } @rest);

sub put { my ($path, $text) = @_;
  open(my $file, ">", "$path.$$") or return; binmode $file;
  (print $file $text) && $file->flush && $file->sync or return;
  close $file or return; "$path.$$" }
sub settle { open(my $dir, "<", $folder) or return; $dir->sync }
sub boot { open(my $file, "<", "/proc/sys/kernel/random/boot_id") or return "-"; my $boot = <$file>; chomp $boot; $boot }
sub identity { my ($pid) = @_; open(my $file, "<", "/proc/$pid/stat") or return;
  my $line = <$file>; $line =~ s/.*\) //; "$pid " . (split / /, $line)[19] . " " . boot() }
sub now { (POSIX::times())[0] / POSIX::sysconf(POSIX::_SC_CLK_TCK()) }

for ($root, $folder, "$folder/work") { mkdir $_ or $!{EEXIST} or die "cannot make $_: $!\n" }
my $child = fork // die "cannot fork: $!\n";
exit 0 if $child;
POSIX::setsid();
my $claim = put("$folder/claim", identity($$) . "\n") or die "cannot write in $folder: $!\n";
my $mine = link $claim, "$folder/claim"; my $why = $!;
unlink $claim;
unless ($mine) { -e "$folder/claim" or die "cannot write in $folder: $why\n"; print "begun\n"; exit 0 }
settle();
if (length $context) { rename put("$folder/context", $context), "$folder/context"; $environment{UNDERSTUDY_CONTEXT_FILE} = "$folder/context" }

$SIG{$_} = "IGNORE" for qw(HUP INT PIPE); my $abort = 0; $SIG{TERM} = sub { $abort = 1 };
pipe(my $output, my $write) or die "cannot make a pipe: $!\n";
pipe(my $fault, my $fail) or die "cannot make a pipe: $!\n";
my $pid = fork // die "cannot fork: $!\n";
if ($pid == 0) {
  $SIG{$_} = "DEFAULT" for qw(HUP INT PIPE TERM);
  POSIX::setsid(); chdir "$folder/work"; umask 022; %ENV = %environment;
  open STDIN, "<", "/dev/null"; open STDOUT, ">&", $write; open STDERR, ">&", $write;
  { no warnings; exec { $program[0] } @program }
  syswrite $fail, (grep { $!{$_} } qw(ENOENT ENOTDIR EACCES EPERM ENOEXEC E2BIG ENOMEM))[0] // "errno " . ($! + 0);
  # Not exit: what the keeper would do at its own end is not the child's to do.
  POSIX::_exit(127);
}
close $write; close $fail;
sysread $fault, my $not_started, 100; close $fault;
if (my $leader = identity($pid)) { my $file = put("$folder/program", "$leader\n"); rename $file, "$folder/program" if $file }
print "begun\n"; STDOUT->flush;
open STDIN, "<", "/dev/null"; open STDOUT, ">", "/dev/null"; open STDERR, ">", "/dev/null";

my ($head, $tail, $bytes) = ("", "", 0);
sub keep { my ($chunk) = @_; $bytes += length $chunk;
  my $room = $head_most - length $head; $head .= substr $chunk, 0, $room, "" if $room > 0;
  $tail .= $chunk; $tail = substr $tail, -$tail_most if length $tail > 2 * $tail_most }
my ($by, $asked, $status, $gone, $open) = ("itself", undef, undef, undef, 1);
my $deadline = now() + $limit / 1000;
for (;;) {
  vec(my $ready = "", fileno $output, 1) = 1;
  if (!$open) { select undef, undef, undef, 0.1 }
  elsif (select($ready, undef, undef, 0.1) > 0) { sysread $output, my $chunk, 65536; length $chunk ? keep($chunk) : ($open = 0) }
  if (!defined $status && waitpid($pid, POSIX::WNOHANG()) == $pid) { ($status, $gone) = ($?, now()) }
  if (!defined $asked && !defined $status && ($abort || now() >= $deadline)) {
    ($by, $asked) = ($abort ? "abort" : "timeout", now()); kill TERM => -$pid }
  if (defined $asked) {
    if (now() - $asked >= 5) { kill KILL => -$pid }
    elsif (kill 0 => -$pid) { next }
  }
  last if defined $status && (!$open || now() - $gone >= 0.5);
}
$tail = substr $tail, -$tail_most if length $tail > $tail_most;
my @names = split / /, do { require Config; $Config::Config{sig_name} };
my $signal = $status & 127 ? "SIG" . $names[$status & 127] : "-";
my $line = join " ", $not_started || $status & 127 ? "-" : $status >> 8, $signal, $by, $not_started || "-", $bytes, length $head;
# Without its end it counts as lost, and a full disk may have room again.
for (1 .. 600) {
  if (my $file = put("$folder/end", "$line\n$head$tail")) { if (rename $file, "$folder/end") { settle(); last } }
  last unless -d $folder;
  select undef, undef, undef, 1;
}
`

export function hostPrograms(host: Host): HostPrograms {
  const root = join(host.machinesFolder, '.us-programs')
  return {
    place: host.place,
    async begin(id, program) {
      await sweep(host, root)
      const { code, stdout, stderr } = await runKeeper(host, [root, id], orderOf(program))
      if (stdout.includes('begun')) return
      if (code === COMMAND_NOT_FOUND) throw noPerl(host)
      throw hostFailed(host.name, 'begin the program', new Error(stderr.trim().slice(-500) || 'no answer'))
    },
    state: (id) => readState(host, join(root, id)),
    end: (id) => end(host, join(root, id)),
    forget: (id) => forget(host, join(root, id)),
  }
}

const COMMAND_NOT_FOUND = 127

/** `env`, because our own server hands its whole environment to what it runs. */
async function runKeeper(host: Host, args: readonly string[], input: string) {
  const clean = Object.entries(ENVIRONMENT).map(([name, value]) => `${name}=${value}`)
  const script = 'exec env -i "HOME=$HOME" "$@"'
  return await host.run('sh', ['-c', script, 'sh', ...clean, 'perl', '-e', KEEPER, ...args], { input })
}

const orderOf = ({
  command,
  arguments: given,
  environment,
  contextFile,
  limitMilliseconds,
  keepBytes,
}: HostProgram): string =>
  [
    limitMilliseconds,
    keepBytes.head,
    keepBytes.tail,
    1 + given.length,
    command,
    ...given,
    contextFile ?? '',
    ...Object.entries({ ...ENVIRONMENT, ...environment }).map(([name, value]) => `${name}=${value}`),
    'whole',
  ].join('\0')

/** What nobody has asked for again. Begun for another program, because nothing else brings us there. */
const sweep = async (host: Host, root: string): Promise<void> => {
  const old = ['-mindepth', '1', '-maxdepth', '1', '-mtime', `+${KEPT_DAYS}`]
  if ((await host.status(root)) !== null)
    await host.run('find', [root, ...old, '-exec', 'rm', '-rf', '{}', '+'])
}

async function forget(host: Host, folder: string): Promise<void> {
  const rest = ['-mindepth', '1', '-maxdepth', '1', '!', '-name', 'claim', '-exec', 'rm', '-rf', '{}', '+']
  if ((await host.status(folder)) !== null) await host.run('find', [folder, ...rest])
}

type Identity = { readonly pid: number; readonly start: string; readonly boot: string }

async function readState(host: Host, folder: string): Promise<HostProgramState> {
  const keeper = await readIdentity(host, join(folder, 'claim'))
  if (keeper === null) return { kind: 'unknown' }
  // In this order: a keeper that is gone has written the end before.
  const alive = await isAlive(host, keeper)
  const end = await host.readFile(join(folder, 'end'))
  if (end !== null) return toEnd(end)
  if (alive) return { kind: 'running' }
  const program = await readIdentity(host, join(folder, 'program'))
  return { kind: 'lost', pid: program !== null && (await isAlive(host, program)) ? program.pid : null }
}

async function readIdentity(host: Host, path: string): Promise<Identity | null> {
  const [pid, start, boot] = (await host.readFile(path))?.toString('utf8').trim().split(' ') ?? []
  return pid === undefined || start === undefined || boot === undefined
    ? null
    : { pid: Number(pid), start, boot }
}

/** A number alone may be another's by now. Fields 3 and 22 of stat, see proc(5). */
async function isAlive(host: Host, { pid, start, boot }: Identity): Promise<boolean> {
  const [now, stat] = await Promise.all([
    host.readFile('/proc/sys/kernel/random/boot_id'),
    host.readFile(`/proc/${pid}/stat`),
  ])
  const line = stat?.toString('utf8') ?? ''
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  return now?.toString('utf8').trim() === boot && fields[0] !== 'Z' && fields[19] === start
}

function toEnd(file: Buffer): HostProgramState {
  const cut = file.indexOf('\n')
  const [exitCode, signal, endedBy, notStarted, bytes, headBytes] = file
    .subarray(0, cut)
    .toString('utf8')
    .split(' ')
  const output = file.subarray(cut + 1)
  return {
    kind: 'ended',
    exitCode: exitCode === '-' ? null : Number(exitCode),
    signal: signal === '-' ? null : (signal ?? null),
    endedBy: endedBy === 'timeout' || endedBy === 'abort' ? endedBy : 'itself',
    notStarted: notStarted === '-' ? null : (notStarted ?? null),
    head: output.subarray(0, Number(headBytes)),
    tail: output.subarray(Number(headBytes)),
    bytes: Number(bytes),
  }
}

async function end(host: Host, folder: string): Promise<void> {
  const keeper = await readIdentity(host, join(folder, 'claim'))
  if (keeper === null) return
  if (await isAlive(host, keeper)) await host.kill(keeper.pid, 'SIGTERM')
  for (let waited = 0; waited < END_MILLISECONDS; waited += POLL_MILLISECONDS) {
    if (!(await isAlive(host, keeper))) break
    await sleep(POLL_MILLISECONDS)
  }
  if ((await host.readFile(join(folder, 'end'))) !== null) return
  const program = await readIdentity(host, join(folder, 'program'))
  const victims = [
    ...((await isAlive(host, keeper)) ? [String(keeper.pid)] : []),
    ...(program !== null && (await isAlive(host, program)) ? [`-${program.pid}`] : []),
  ]
  if (victims.length > 0) await host.run('kill', ['-s', 'KILL', '--', ...victims])
}

const noPerl = ({ name }: Host): Refusal =>
  new Refusal({
    code: 'host-program/no-perl',
    message: `Host ${name} has no perl, which keeps the programs that are run there`,
    remedy: 'Install it there (Debian: perl-base), or have the program run on the server.',
  })
