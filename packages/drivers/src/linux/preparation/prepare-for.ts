// What this server lacks for some hardware, and its preparation with the tools that it has.
import { Refusal } from '@understudy/base/errors'
import type { LinuxFacts } from '@understudy/domain/boot-check/boot-facts'
import type { GuestHardware } from '@understudy/domain/boot-check/guest-hardware'
import { driversFor } from '@understudy/domain/boot-check/judge-linux'
import { MEMORY_DISK_SCRIPT } from '@understudy/domain/boot-check/linux-script'
import type { Preparation } from '@understudy/domain/boot-check/preparation'
import { readBootFacts } from '../boot-facts.ts'
import { linuxBuilder, type PreparationPlace, prepareServer, type Wanted } from './prepare-server.ts'

export const preparationPlace = (folder: string): PreparationPlace => ({
  folder,
  root: '/',
  builder: linuxBuilder(MEMORY_DISK_SCRIPT),
})

/** See SourcePlatform.prepareBoot. */
export async function prepareFor(
  place: PreparationPlace,
  hardware: readonly GuestHardware[],
  at: number,
  signal?: AbortSignal,
): Promise<Preparation> {
  const look = async (): Promise<Wanted> => {
    const facts = await readBootFacts(signal)
    if (facts.system !== 'linux') throw new Error('This is a Linux server')
    return { ...whatIsWanted(facts, hardware), at }
  }
  return await prepareServer(place, look, signal)
}

/** Pure. Refuses (`prepare/unread`) where nobody knows what a memory disk holds. */
export function whatIsWanted(
  { kernels, runningKernel }: Pick<LinuxFacts, 'kernels' | 'runningKernel'>,
  hardware: readonly GuestHardware[],
): Omit<Wanted, 'at'> {
  const needed = [...new Set(hardware.flatMap(driversFor))]
  // What is built in needs nothing, and what a kernel does not have at all cannot be put into its memory disk.
  const lacking = kernels.map(({ version, builtIn, available, initramfs }) => {
    const modules = needed.filter((driver) => !builtIn?.includes(driver) && available?.includes(driver))
    if (modules.length > 0 && initramfs.kind === 'unread')
      throw new Refusal({
        code: 'prepare/unread',
        message: `Of kernel ${version}: ${initramfs.reason}`,
        remedy:
          'See that /boot is mounted, and that cpio and the unpacker of its memory disks are installed.',
      })
    const held = initramfs.kind === 'read' ? initramfs.drivers : []
    return { version, modules, missing: modules.filter((driver) => !held.includes(driver)) }
  })
  return {
    drivers: [...new Set(lacking.flatMap(({ modules }) => modules))],
    lacking: lacking
      .filter(({ missing }) => missing.length > 0)
      .map(({ version, missing }) => ({ kernel: version, drivers: missing })),
    runningKernel,
  }
}
