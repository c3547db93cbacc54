// What a host has to give to a machine that shall start there.
import { Outage } from '@understudy/base/errors'
import type { Host } from './host.ts'
import { QEMU, UEFI_CODE, UEFI_VARIABLES_TEMPLATE } from './qemu-command.ts'

export type HostRoom =
  | { readonly host: Host; readonly reachable: false; readonly why: string }
  | {
      readonly host: Host
      readonly reachable: true
      readonly freeMemoryBytes: number
      readonly freeDiskBytes: number
      readonly hasQemu: boolean
      readonly hasUefi: boolean
      readonly hasKvm: boolean
      readonly bridges: ReadonlySet<string>
    }

const LOOK_MILLISECONDS = 10_000

/** Touches nothing but the machines folder, which is made when missing. A host that cannot be reached is no error here. */
export async function readHostRoom(host: Host, signal?: AbortSignal): Promise<HostRoom> {
  try {
    await host.makeFolder(host.machinesFolder)
    const [memory, qemu, links, uefiCode, uefiVariables, kvm, freeDiskBytes] = await Promise.all([
      host.run('cat', ['/proc/meminfo'], { timeoutMilliseconds: LOOK_MILLISECONDS, signal }),
      host.run('sh', ['-c', `command -v ${QEMU} qemu-img`], {
        timeoutMilliseconds: LOOK_MILLISECONDS,
        signal,
      }),
      host.list('/sys/class/net'),
      host.status(UEFI_CODE),
      host.status(UEFI_VARIABLES_TEMPLATE),
      host.status('/dev/kvm'),
      host.freeBytes(host.machinesFolder),
    ])
    return {
      host,
      reachable: true,
      freeMemoryBytes: toFreeMemoryBytes(memory.stdout),
      freeDiskBytes,
      hasQemu: qemu.code === 0,
      hasUefi: uefiCode !== null && uefiVariables !== null,
      hasKvm: kvm !== null,
      bridges: new Set(links.map(({ name }) => name)),
    }
  } catch (error) {
    if (!(error instanceof Outage)) throw error
    return { host, reachable: false, why: error.message }
  }
}

/** proc(5): `MemAvailable:  123 kB`. */
function toFreeMemoryBytes(meminfo: string): number {
  const kilobytes = /^MemAvailable:\s+(\d+) kB/m.exec(meminfo)?.[1]
  return kilobytes === undefined ? 0 : Number(kilobytes) * 1024
}
