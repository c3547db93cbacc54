// The emulated Azure of the lab in which machines run. Emulated: nothing here is Azure. What it is made of is loaded when it is started:
// it takes a second and a hundred MiB, and most computers have none.
import type { PresentedHardware } from '@understudy/domain/boot-check/guest-hardware'
import { isInstalled } from '../../../wires/is-installed.ts'
import { type KeptEmulator, keepUp } from '../../emulator/keep-up.ts'
import type { ServiceAnswer, TargetParts } from '../target-parts.ts'
import { loadPages } from './cloud-state.ts'
import type { CloudOptions } from './start-cloud.ts'

/** Beside Node: of QEMU, util-linux and OpenSSL. */
const programs = ['qemu-system-x86_64', 'setpriv', 'openssl']
const ANSWER_MS = 3000

export const keepCloud = (options: CloudOptions): KeptEmulator =>
  keepUp({
    port: options.port,
    onTrouble: options.onTrouble,
    start: async () => (await import('./start-cloud.ts')).startCloud(options),
  })

/** The settings and the secrets of a site whose replicas run in the emulated Azure of this folder. */
export const cloudSite = async (options: Pick<CloudOptions, 'folder' | 'port'>) =>
  (await import('./start-cloud.ts')).cloudSite(options)

/** Why no machine can run here, for a person; null: they can. Quick. */
export async function findCloudObstacle(): Promise<string | null> {
  for (const program of programs)
    if (!(await isInstalled(program)))
      return `The program ${program} is not installed on this computer (apt-get install qemu-system-x86 util-linux openssl on Debian or Ubuntu)`
  return null
}

/** What qemu-runner.ts gives its machines, in place of what Azure would. */
export const emulatedHardware: PresentedHardware = {
  kind: 'hyper-v',
  serialLineOnly: true,
  emulatedOn: 'virtio',
}

/** The page of a machine that runs here. Null: it does not run, or somewhere else. */
export const askEmulated =
  (folder: string): NonNullable<TargetParts['askService']> =>
  async ({ name }, signal) => {
    const page = (await loadPages(folder))[name]
    if (page === undefined) return null
    const bound = AbortSignal.any([AbortSignal.timeout(ANSWER_MS), ...(signal === undefined ? [] : [signal])])
    const answer = (answered: boolean, note: string): ServiceAnswer => ({ addresses: [page], answered, note })
    return await fetch(page, { signal: bound }).then(
      async ({ status, body }) => {
        await body?.cancel()
        return answer(true, `its page answers with ${status} at ${page}, from the emulated Azure`)
      },
      () => answer(false, `its page does not answer at ${page} yet, in the emulated Azure`),
    )
  }
