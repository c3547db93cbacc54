// A machine whose disks are being overwritten carries `restoring.json` until that is complete. Until then its disks are a
// mixture, and it must not be started.
import { join } from 'node:path'
import { Refusal } from '@understudy/base/errors'
import type { RunId } from '@understudy/domain/failover/failover'
import { fieldsOf } from './checked-fields.ts'
import type { MachineLocation } from './monitor.ts'

type Place = Pick<MachineLocation, 'host' | 'folder' | 'name'>

const pathOf = ({ folder }: Place): string => join(folder, 'restoring.json')

/** The run that began to write into the disks and has not completed, or null. */
export async function findRestoring(machine: Place): Promise<RunId | null> {
  const text = await machine.host.readFile(pathOf(machine))
  if (text === null) return null
  return fieldsOf(JSON.parse(text.toString('utf8')), pathOf(machine), 'kvm/restoring').text('runId') as RunId
}

export async function markRestoring(machine: Place, runId: RunId): Promise<void> {
  await machine.host.writeFile(pathOf(machine), `${JSON.stringify({ runId })}\n`)
}

export async function unmarkRestoring(machine: Place): Promise<void> {
  await machine.host.removeFile(pathOf(machine))
}

/** Refusal `fail-back/half-restored`. Asked before every start. */
export async function refuseHalfRestored(machine: Place): Promise<void> {
  if ((await findRestoring(machine)) === null) return
  throw new Refusal({
    code: 'fail-back/half-restored',
    message: `The disks of ${machine.name} are half overwritten by a fail-back that was interrupted`,
    remedy: 'Let the fail-back complete; it can be repeated.',
  })
}
