// The machines of the lab and the replicas of its sites, read past the product: what the console says is compared with the bytes.
import { createHmac } from 'node:crypto'
import path from 'node:path'
import { present } from '@understudy/base/invariant'
import {
  pointDifferences,
  whileStandingStill as whileMachineStandsStill,
} from '@understudy/drivers/kvm/lab/point-differences'
import { localHost } from '@understudy/drivers/kvm/local-host'
import { loadRunMachine, type RunMachine } from '@understudy/drivers/kvm/runs'
import { openJournalStore } from '@understudy/journal/journal-store'
import { loadSecretKey } from '@understudy/store/secret-key'
import { until } from './until.ts'

type SiteLetter = 'a' | 'b'

/** Where in the lab: the machine of that name at one site, and the replica of that name at the other one. */
export type LabCopies = {
  readonly home: string
  readonly name: string
  readonly runsAt: SiteLetter
  readonly replicaAt: SiteLetter
}

/** Where the newest point differs from the disks of the machine, which is off. Empty: every byte is the same. */
export async function differencesWhenOff(copies: LabCopies): Promise<readonly string[]> {
  return (await compareNewest(copies, await findMachine(copies))).differing
}

/** The same of a machine that runs: it is held still until there is a newer point. */
export async function differencesWhenHeldStill(copies: LabCopies): Promise<readonly string[]> {
  const machine = await findMachine(copies)
  return await whileMachineStandsStill(machine, async () => {
    const since = Date.now()
    return await until('a point of the machine that stands still', 120, async () => {
      const { instant, differing } = await compareNewest(copies, machine)
      return instant > since ? differing : null
    })
  })
}

async function findMachine({ home, name, runsAt }: LabCopies): Promise<RunMachine> {
  const machinesFolder = path.join(home, 'lab', `site-${runsAt}`, 'machines')
  const host = localHost({ name: runsAt, machinesFolder })
  const folders = (await host.list(machinesFolder)).filter(({ kind }) => kind === 'folder')
  const machines = await Promise.all(
    folders.map((folder) => loadRunMachine(host, path.join(machinesFolder, folder.name))),
  )
  return present(
    machines.find((machine) => machine?.name === name),
    `${name} is at site ${runsAt}`,
  )
}

async function compareNewest(
  { home, replicaAt }: LabCopies,
  machine: RunMachine,
): Promise<{ readonly instant: number; readonly differing: readonly string[] }> {
  const store = openJournalStore({
    folder: path.join(home, 'lab', `site-${replicaAt}`, 'replicas'),
    clock: { now: () => Date.now() },
    key: (id) => createHmac('sha256', loadSecretKey(home)).update(`replica ${id}`).digest(),
  })
  const disks = machine.definition.disks.map(({ key }) => key).join()
  for (const id of await store.list()) {
    const replica = await store.openReplica(id, null)
    try {
      const newest = replica.points().at(-1)
      if (!newest || newest.disks.map(({ key }) => key).join() !== disks) continue
      const point = await replica.openPoint(newest.id)
      try {
        return { instant: newest.instant, differing: await pointDifferences(machine, point) }
      } finally {
        await point.close()
      }
    } finally {
      await replica.close()
    }
  }
  throw new Error(`Site ${replicaAt} keeps no replica with the disks of ${machine.name}`)
}
