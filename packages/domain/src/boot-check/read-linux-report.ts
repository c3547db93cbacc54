// What the script has printed, as facts. Pure. Whatever is not in the report is not known: nothing is taken for granted.
import type { Firmware, KernelFacts, LinuxFacts } from './boot-facts.ts'
import { REPORT_HEAD } from './linux-script.ts'
import { readNetworkFiles } from './read-network-files.ts'

type Section = { readonly head: string; readonly argument: string; readonly lines: readonly string[] }

/** Null: this is no whole report, and a part of one proves nothing. */
export function readLinuxReport(report: string): LinuxFacts | null {
  const sections = toSections(report)
  if (sections[0]?.head !== REPORT_HEAD || sections.at(-1)?.head !== 'end') return null
  const of = (head: string): readonly Section[] => sections.filter((section) => section.head === head)
  const lines = (head: string): readonly string[] => of(head).flatMap((section) => section.lines)
  const release = toRelease(lines('os'))
  const services = toPairs(lines('services'))
  const network = of('network').map(({ argument, lines: content }) => ({ path: argument, lines: content }))
  const fstab = of('fstab')
  return {
    system: 'linux',
    distribution: {
      id: release.get('ID') ?? '',
      like: (release.get('ID_LIKE') ?? '').split(' ').filter((word) => word !== ''),
      name: release.get('PRETTY_NAME') ?? release.get('NAME') ?? 'Linux',
    },
    firmware: (lines('firmware')[0]?.trim() === 'uefi' ? 'uefi' : 'bios') satisfies Firmware,
    runningKernel: lines('kernel')[0]?.trim() ?? '',
    kernels: of('image').map(toKernel),
    commandLine: lines('cmdline').join(' ').trim(),
    fstab: fstab.length === 0 ? null : withoutComments(fstab.flatMap((section) => section.lines)),
    crypttab: withoutComments(lines('crypttab')),
    namingRules: withoutComments(lines('naming')),
    interfaces: readNetworkFiles(network),
    networkFiles: network.map(({ path }) => path),
    fallbackLoader: toKnown(lines('loader')[0]?.trim()),
    sshServer: toKnown(services.get('ssh')),
    azureAgent: toKnown(services.get('agent')),
    cloudInit: toKnown(services.get('cloud-init')),
  }
}

function toSections(report: string): readonly Section[] {
  const sections: { head: string; argument: string; lines: string[] }[] = []
  for (const line of report.split(/\r?\n/)) {
    if (line.startsWith('==')) {
      const [head = '', ...rest] = line.slice(2).split(' ')
      sections.push({ head, argument: rest.join(' '), lines: [] })
    } else if (line.startsWith(' ')) sections.at(-1)?.lines.push(line.slice(1))
  }
  return sections
}

const withoutComments = (lines: readonly string[]): readonly string[] =>
  lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))

const toKnown = (word: string | undefined): boolean | null =>
  word === 'yes' ? true : word === 'no' ? false : null

const toPairs = (lines: readonly string[]): ReadonlyMap<string, string> =>
  new Map(lines.map((line) => line.trim().split(/\s+/)).map(([name = '', value = '']) => [name, value]))

/** os-release(5): assignments as a shell reads them, most of them in quotes. */
const toRelease = (lines: readonly string[]): ReadonlyMap<string, string> =>
  new Map(
    lines.flatMap((line) => {
      const found = /^([A-Z_0-9]+)=(.*)$/.exec(line.trim())
      return found ? [[found[1] ?? '', (found[2] ?? '').replace(/^(["'])(.*)\1$/, '$2')] as const] : []
    }),
  )

function toKernel({ argument, lines }: Section): KernelFacts {
  const words = (name: string): readonly string[] | null => {
    const line = lines.find((one) => one === name || one.startsWith(`${name} `))
    return line === undefined ? null : line.split(/\s+/).filter((word) => word !== '' && word !== name)
  }
  const drivers = words('initramfs')
  const reason = lines.find((line) => line.startsWith('unread '))?.slice('unread '.length)
  return {
    version: argument,
    builtIn: words('builtin'),
    available: words('available'),
    initramfs:
      drivers === null
        ? { kind: 'unread', reason: reason ?? 'its initial memory disk was not read' }
        : { kind: 'read', drivers },
  }
}
