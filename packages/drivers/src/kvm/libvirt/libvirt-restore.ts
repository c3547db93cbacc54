// Bringing an existing domain that is off to the state of a recovery point, and starting it with its changes tracked: how a
// machine of a libvirt estate is failed back to.
import { Refusal } from '@understudy/base/errors'
import type { RestoreDisk } from '@understudy/engine/ports/target-platform'
import { readBlockGraph } from '../block-graph.ts'
import { beginTracking } from '../dirty-bitmaps.ts'
import { withMonitor } from '../monitor.ts'
import { checkpointText } from '../ownership.ts'
import { type RestoreOptions, restoreInto } from '../restore-into.ts'
import { alreadyOn } from '../target.ts'
import type { LibvirtMachine } from './libvirt-directory.ts'
import { evidenceOfOff, libvirtPowerState, startDomain } from './libvirt-power.ts'
import { type VirshSession, word } from './virsh-session.ts'

/** See TargetPlatform.restoreInto. */
export async function restoreIntoDomain(
  machine: LibvirtMachine,
  disks: readonly RestoreDisk[],
  options: RestoreOptions,
  signal?: AbortSignal,
): Promise<{ readonly writtenBytes: number }> {
  const { host, domain, location } = machine
  if ((await evidenceOfOff(machine)) === null) throw notProvenOff(domain.name)
  await host.virsh((session) => dropSavedMemory(session, machine, options.overwriteModified), signal)
  await host.makeFolder(location.folder)
  return restoreInto(location, disks, options, signal)
}

/**
 * A managed save is the memory of a guest that believes to know its disks: resumed over other disks it would destroy them.
 * It also means that the guest has run since its disks were noted.
 */
async function dropSavedMemory(
  session: VirshSession,
  { domain: { ref, name } }: LibvirtMachine,
  mayDrop: boolean,
): Promise<void> {
  const info = await session.ask(`dominfo ${word(ref)}`)
  if (!/^Managed save:\s+yes/m.test(info)) return
  if (!mayDrop)
    throw new Refusal({
      code: 'fail-back/original-modified',
      message: `libvirt keeps the memory of ${name} from when it was suspended (managed save); it has run since its disks were noted`,
      remedy: 'Fail back to another machine, or choose to overwrite what was written.',
    })
  await session.ask(`managedsave-remove ${word(ref)}`)
}

/** See TargetPlatform.startTracked. */
export async function startDomainTracked(
  machine: LibvirtMachine,
  trackingId: string,
  options: { readonly bootDeadlineSeconds: number; readonly signal?: AbortSignal | undefined },
): Promise<{ readonly checkpoint: string | null }> {
  if (!(await hasRunNothing(machine, options.signal))) throw alreadyOn(machine.domain.name)
  let checkpoint: string | null = null
  await startDomain(machine, {
    ...options,
    async beforeFirstInstruction(qmp) {
      checkpoint = checkpointText(await beginTracking(qmp, (await readBlockGraph(qmp)).disks, trackingId))
    },
  })
  return { checkpoint }
}

/** Off, or as a killed predecessor left it: started, and paused before the first instruction. */
async function hasRunNothing(machine: LibvirtMachine, signal: AbortSignal | undefined): Promise<boolean> {
  const power = await libvirtPowerState(machine, signal)
  if (power !== 'paused') return power === 'off'
  // libvirt calls both this and a pause in mid-run "paused (user)"; QEMU tells them apart.
  return withMonitor(
    machine.location,
    async (qmp) => (await qmp.execute<{ readonly status: string }>('query-status')).status === 'prelaunch',
    { signal },
  )
}

const notProvenOff = (name: string): Refusal =>
  new Refusal({
    code: 'machine/running',
    message: `${name} is not proven to be off; its disks cannot be replaced under it`,
    remedy: 'Shut it down first.',
  })
