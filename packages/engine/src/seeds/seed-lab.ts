// For tests only.
import { by, minute, newLab, type Wanted } from '../engine-lab.ts'

export const folder = '/media/seed'
export const DISK_BYTES = 2 ** 20 + 2 ** 19
export const passphrase = 'correct horse battery'

/** A protection whose first copy is not made yet, because the source did not answer. */
export async function newSeedLab(wanted: Wanted = {}) {
  const lab = await newLab({ ...wanted, machine: { disks: [2 ** 20, 2 ** 19], ...wanted.machine } })
  lab.a.faults.failNext('source.openPoint')
  const { protectionId } = await lab.protect()
  await lab.clock.advance(5000)
  await lab.engine.pause({ by, protectionId })
  await lab.clock.advance(minute)
  const ask = { by, protectionId }
  const request = { ...ask, folder, passphrase }
  return { lab, protectionId, ask, request, exported: () => lab.done(lab.engine.exportSeed(request)) }
}
