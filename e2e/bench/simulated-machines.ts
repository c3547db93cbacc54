// Many simulated machines, protected: what benches of the whole product load it with.
import { setTimeout as wait } from 'node:timers/promises'
import { MiB } from '@understudy/base/bytes'
import { type Api, type Listed, listAll } from './api-client.ts'

type Identified = { readonly id: string }
export type ShownProtection = Identified & { readonly state: string; readonly lagSeconds: number | null }

export type Load = {
  readonly machines: number
  readonly intervalSeconds: number
  /** Settings of the source site beside its machines and the size of their disks, which is 1 MiB. */
  readonly guests: {
    readonly usedBytes: number
    readonly churnBytesPerSecond: number
    readonly bootSeconds?: number
  }
  /** Where replicas are plugged in; left out: nowhere. */
  readonly adapters?: readonly object[]
  /** Throws when they are not all protected by then. */
  readonly limitSeconds: number
}

/** Resolves with the seconds it took until every machine was protected. */
export async function protectSimulated(api: Api, load: Load): Promise<number> {
  const { machines, intervalSeconds, guests, adapters = [] } = load
  const startedAt = Date.now()
  const site = (name: string, count: number) =>
    api<Identified>('POST', '/sites', {
      name,
      platform: 'simulated',
      settings: {
        machines: count,
        diskBytes: MiB,
        ...guests,
        seed: 1,
      },
    })
  const [source, target] = [await site('bench source', machines), await site('bench target', 0)]
  const policy = await api<Identified>('POST', '/policies', {
    name: 'bench',
    intervalSeconds,
    lagTargetSeconds: 4 * intervalSeconds,
    applicationConsistentEverySeconds: 0,
    retention: [{ everySeconds: 0, forSeconds: 3600 }],
    compress: true,
    encrypt: false,
    priority: 5,
    rateLimitBytesPerSecond: 0,
    commitTimeoutSeconds: 0,
    uncommittedAction: 'commit',
  })
  const found = await listAll<Identified>(api, `/machines?siteId=${source.id}`)
  if (found.length !== machines)
    throw new Error(`The inventory has ${found.length} machines, not ${machines}`)
  const waiting = [...found]
  const protectNext = async (): Promise<void> => {
    for (let machine = waiting.pop(); machine; machine = waiting.pop())
      await api('POST', '/protections', {
        machineId: machine.id,
        targetSiteId: target.id,
        policyId: policy.id,
        adapters,
      })
  }
  await Promise.all(Array.from({ length: 8 }, protectNext))
  await untilProtected(api, load, startedAt)
  return (Date.now() - startedAt) / 1000
}

async function untilProtected(api: Api, load: Load, startedAt: number): Promise<void> {
  for (;;) {
    const { total } = await api<Listed<ShownProtection>>('GET', '/protections?state=protected&limit=1')
    if (total === load.machines) return
    if (Date.now() - startedAt > load.limitSeconds * 1000)
      throw new Error(`After ${load.limitSeconds} s ${total} of ${load.machines} machines are protected`)
    await wait(1_000)
  }
}
