// Would a Linux machine bring up its network on other adapters? Pure.

import type { InterfaceConfiguration, LinuxFacts } from './boot-facts.ts'
import { type BootFinding, found, passed } from './boot-finding.ts'
import type { PresentedHardware } from './guest-hardware.ts'
import { byNameOnly, commandsForNetwork } from './linux-remedies.ts'

const words = { code: 'boot/network', title: 'Network configuration' }

/** The first adapter of Hyper-V has no place on a bus to be named after, so it keeps the name of the kernel. */
const HYPER_V_NAME = 'eth0'
const HYPER_V_DRIVER = 'hv_netvsc'

/** systemd.net-naming-scheme(7): named after where it is plugged in. */
const NAMED_BY_PLACE = /^en[opsxv]\w*$/

export function judgeNetwork(facts: LinuxFacts, hardware: PresentedHardware): BootFinding {
  return hardware.kind === 'hyper-v' ? judgeForHyperV(facts) : judgeForVirtio(facts)
}

function judgeForHyperV({ interfaces, namingRules, cloudInit, commandLine }: LinuxFacts): BootFinding {
  if (interfaces.length === 0) return notUnderstood()
  const ruled = namingRules.some((rule) => /ATTR\{address\}/i.test(rule))
  // Rules that give eth0 to an address that is not there any more leave eth1 to the new adapter.
  const fitting = interfaces.filter((one) => fits(one, ruled ? 'eth1' : HYPER_V_NAME))
  const dhcp = fitting.find(({ method }) => method === 'dhcp')
  if (dhcp)
    return passed({ ...words, message: `${dhcp.path} lets an adapter of Hyper-V ask for its address (DHCP)` })
  const fixed = fitting.find(({ method }) => method === 'static')
  const isTaken =
    ruled ||
    /(?:^|\s)net\.ifnames=0\b/.test(commandLine) ||
    interfaces.some(({ name }) => name !== null && matches(name, HYPER_V_NAME))
  const remedyFor = ({ writtenFor }: InterfaceConfiguration) =>
    isTaken && byNameOnly.includes(writtenFor) ? null : commandsForNetwork[writtenFor]
  if (fixed)
    return found(
      'warning',
      {
        ...words,
        message: `${fixed.path} gives the adapter a fixed address. In Azure it works only with the very address that Azure gives the adapter`,
      },
      {
        remedy:
          'Let it ask for its address (DHCP), and fix the address in the settings of the site for this adapter.',
        commands: fixed.name === HYPER_V_NAME ? null : remedyFor(fixed),
      },
    )
  if (fitting.length > 0) return notUnderstood()
  const [first] = interfaces
  if (first === undefined) return notUnderstood()
  const rules = ruled ? '; rules of udev keep the name eth0 for the adapter of today' : ''
  // It writes the network anew where it finds itself in another cloud, if it is set up to look.
  const helper = cloudInit === true ? '. cloud-init may write it anew at the first start there' : ''
  return found(
    cloudInit === true ? 'warning' : 'blocker',
    {
      ...words,
      message: `${interfaces.map(limits).join('; ')}${rules}. In Azure the adapter is called ${HYPER_V_NAME} and has another hardware address: it would start without a network${helper}`,
    },
    {
      remedy: [
        remedyFor(first) === null
          ? 'Match the adapter by its driver, hv_netvsc, with configuration of systemd-networkd or netplan. No commands are given: an adapter may be called eth0 where the machine runs now, and what is written for that name would change this one too.'
          : 'Add configuration for the adapter that it will have there: none of those that it has now should fit it.',
        ...(ruled
          ? [
              'Leave the rules of udev where they are until the machine may be started anew and looked at: without them its adapters may have other names where it runs now.',
            ]
          : []),
      ].join(' '),
      commands: remedyFor(first),
    },
  )
}

const fits = ({ name, macAddress, driver }: InterfaceConfiguration, called: string): boolean =>
  macAddress === null &&
  (driver === null || matches(driver, HYPER_V_DRIVER)) &&
  (name === null || matches(name, called))

const limits = ({ path, name, macAddress, driver }: InterfaceConfiguration): string => {
  if (macAddress !== null) return `${path} is for the hardware address ${macAddress}`
  return `${path} is for ${name === null ? `adapters of ${driver}` : `the adapter ${name}`}`
}

/** Of a shell: `*` and `?`. */
const matches = (pattern: string, text: string): boolean =>
  new RegExp(
    `^${pattern
      .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.')}$`,
  ).test(text)

function judgeForVirtio({ interfaces, commandLine }: LinuxFacts): BootFinding {
  if (interfaces.length === 0) return notUnderstood()
  const steady = interfaces.find(
    ({ name, macAddress }) => macAddress !== null || name === null || !NAMED_BY_PLACE.test(name),
  )
  if (steady || /(?:^|\s)net\.ifnames=0\b/.test(commandLine))
    return passed({
      ...words,
      message: `${steady?.path ?? 'The kernel'} does not depend on where the adapter is plugged in`,
    })
  return found(
    'note',
    {
      ...words,
      message: `${interfaces.map(limits).join('; ')}: a name by the place on the bus, which may be another one there`,
    },
    {
      remedy:
        'A test failover shows whether it answers. To be sure, match the adapter by its hardware address.',
    },
  )
}

const notUnderstood = (): BootFinding =>
  found(
    'unknown',
    {
      ...words,
      message: 'No configuration of the network was found that could be understood',
    },
    { remedy: 'See that the machine asks for its address (DHCP) on any adapter; a test failover shows it.' },
  )
