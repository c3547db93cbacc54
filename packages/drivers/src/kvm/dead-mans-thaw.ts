// A connection to a guest's agent for freezing it, kept by a small program on the machine's own host:
//
//     we  <->  relay on the host  <->  agent socket
//
// The relay thaws when the connection to us ends without a thaw, and when a time has passed: whatever becomes of us, of our
// computer or of the network, the guest's writes go on. It must be the one that holds the agent's socket: QEMU serves one
// client at a time, and a forwarded connection whose other end is dead stays open for hours (TCP), so nobody else would get in.
import type { Duplex } from 'node:stream'
import type { Host } from './host.ts'

/** Freezing takes up to 10 s and marking up to 5 s; both are given up then. */
const THAW_SECONDS = 30

/**
 * Perl, because every Debian and Ubuntu has it (perl-base is essential) with unix sockets in it. It hears no signal that ends
 * a service in good order. Without our end it waits two seconds for the thaw to be answered: QEMU drops what it has not read
 * from a client that has gone.
 */
const RELAY = `
use strict; use IO::Socket::UNIX; use IO::Select;
$SIG{$_} = "IGNORE" for qw(HUP INT TERM PIPE);
my ($path, $seconds) = @ARGV;
my $agent = IO::Socket::UNIX->new(Peer => $path) or exit 3;
my $both = IO::Select->new(\\*STDIN, $agent);
my ($frozen, $thawing, $deadline) = (0, 0, time + $seconds);
RELAY: while ((my $left = $deadline - time) > 0) {
  for my $from ($both->can_read($left)) {
    sysread($from, my $bytes, 65536) or last RELAY;
    if (fileno($from) == 0) {
      $frozen = 1 if index($bytes, "guest-fsfreeze-freeze") >= 0;
      $thawing = 1 if index($bytes, "guest-fsfreeze-thaw") >= 0;
      syswrite($agent, $bytes) or last RELAY;
    } else {
      $frozen = $thawing = 0 if $thawing && index($bytes, '"return"') >= 0;
      syswrite(STDOUT, $bytes) or last RELAY;
    }
  }
}
exit unless $frozen;
syswrite($agent, "\\xff{\\"execute\\": \\"guest-fsfreeze-thaw\\"}\\n");
IO::Select->new($agent)->can_read(2);
`

/** As `host.connect`, for whoever is going to freeze. Ends by itself after `seconds`, with the guest thawed. */
export const connectToFreeze = (
  host: Host,
  agentPath: string,
  seconds: number = THAW_SECONDS,
): Promise<Duplex> =>
  host.connectToFreeze?.(agentPath, seconds) ?? host.spawn('perl', ['-e', RELAY, agentPath, String(seconds)])
