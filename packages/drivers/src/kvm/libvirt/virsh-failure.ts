// What virsh complains about, in our three kinds. virsh has no error codes; its words are those of LC_ALL=C.
import { Outage, Refusal } from '@understudy/base/errors'

export type VirshComplaint = {
  readonly hostName: string
  readonly uri: string
  /** `connect`: virsh ended, or never came so far as to take a command. */
  readonly commandLine: string
  readonly text: string
  /** virsh's, or that of whatever should have started it. */
  readonly code?: number
}

const NOT_FOUND = 127
const NO_DOMAIN = /failed to get domain|Domain not found|no domain with matching/i
/** Also in the middle of a session, when libvirtd went away. */
const NO_CONNECTION = /^failed to (re)?connect to the hypervisor/i
const NO_RIGHT = /permission denied|authentication (failed|unavailable)|access denied|polkit/i
const NO_DRIVER =
  /no connection driver available|invalid (connection URI|argument)|unable to parse URI|unexpected QEMU URI/i
const NO_DAEMON = /Failed to connect socket|failed to connect to the hypervisor|Connection refused|no polkit/i

export function toVirshFailure(complaint: VirshComplaint): Outage | Refusal {
  const { hostName, text, code, commandLine } = complaint
  if (code === NOT_FOUND)
    return new Refusal({
      code: 'kvm/virsh-missing',
      message: `Host ${hostName} has no virsh or no flock: ${text}`,
      remedy: 'Install them there (Debian: libvirt-clients util-linux).',
    })
  if (NO_DOMAIN.test(text))
    return new Outage({
      code: 'kvm/no-such-domain',
      message: `libvirt on ${hostName} does not know this machine: ${text}`,
      remedy:
        'Refresh the inventory: it may have been removed or moved. If it is lost, its replica can be brought up by an unplanned failover.',
    })
  const unconnected =
    commandLine === 'connect' || NO_CONNECTION.test(text) ? toConnectFailure(complaint) : null
  if (unconnected !== null) return unconnected
  return new Outage({
    code: 'kvm/libvirt-failed',
    message: `virsh on ${hostName} could not ${commandLine.slice(0, 60)}: ${text.slice(-500)}`,
    remedy: 'Look at the message; the next attempt may work.',
  })
}

/**
 * Only of the way to libvirt. The same words mean something else of a command: QEMU that may not open an image says `Permission
 * denied` as well, and one that does not reach our socket `Connection refused`. Null: it is none of these.
 */
function toConnectFailure({ hostName, uri, text }: VirshComplaint): Outage | Refusal | null {
  if (NO_RIGHT.test(text))
    return new Refusal({
      code: 'kvm/libvirt-not-permitted',
      message: `libvirt on ${hostName} (${uri}) refuses us: ${text}`,
      remedy: 'Connect to the host as root, or let the user manage libvirt (group libvirt).',
    })
  if (NO_DRIVER.test(text))
    return new Refusal({
      code: 'kvm/libvirt-uri',
      message: `libvirt on ${hostName} does not accept the address ${uri}: ${text}`,
      remedy: 'Use qemu:///system, or qemu+unix:///system?socket=PATH.',
    })
  if (NO_DAEMON.test(text))
    return new Outage({
      code: 'kvm/libvirt-not-running',
      message: `libvirt on ${hostName} does not answer at ${uri}: ${text}`,
      remedy: 'Start libvirtd (systemctl start libvirtd), or correct the address.',
    })
  return null
}

export const isNoSuchDomain = (error: unknown): boolean =>
  error instanceof Outage && error.code === 'kvm/no-such-domain'

export const virshBusy = (hostName: string, seconds: number): Outage =>
  new Outage({
    code: 'kvm/qemu-busy',
    message: `Somebody else has been working on this machine on ${hostName} for ${seconds} s`,
    remedy: 'Wait; another Understudy may be replicating the same machine.',
  })
