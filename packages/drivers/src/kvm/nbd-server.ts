// QEMU's own NBD server: one per process, on a socket beside the machine.
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { Outage } from '@understudy/base/errors'
import type { MachineLocation } from './monitor.ts'
import { isQemuRefusal, type Qmp } from './qmp.ts'

/** Several foreign machines may share a folder, so the name depends on the monitor's. */
export function exportSocketPath(machine: MachineLocation): string {
  if (machine.definition !== null) return join(machine.folder, 'us-export.sock')
  return join(
    machine.folder,
    `us-export-${createHash('sha256').update(machine.monitorPath).digest('hex').slice(0, 8)}.sock`,
  )
}

/** Makes sure that it listens there. It stays on afterwards: another owner may be using it. Repeatable. */
export async function startNbdServer(qmp: Qmp, machine: MachineLocation): Promise<void> {
  const path = exportSocketPath(machine)
  try {
    await qmp.execute('nbd-server-start', { addr: { type: 'unix', data: { path } } })
  } catch (error) {
    if (!isQemuRefusal(error)) throw error
    if (!(await isListening(machine, path))) throw taken(machine, error)
  }
}

async function isListening(machine: MachineLocation, path: string): Promise<boolean> {
  try {
    const stream = await machine.host.connect(path)
    stream.on('error', () => undefined)
    stream.destroy()
    return true
  } catch (error) {
    if (error instanceof Outage) return false
    throw error
  }
}

const taken = (machine: MachineLocation, cause: unknown): Outage =>
  new Outage({
    code: 'source/nbd-server-taken',
    message: `Another program uses the NBD server of QEMU ${machine.name}; it can listen in one place only`,
    remedy: 'End the other backup of this machine, or wait for it.',
    cause,
  })
