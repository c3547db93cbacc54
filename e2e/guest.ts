// The machines of the lab, asked directly: each tells on its own page what it found on its disks.
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { until } from './until.ts'

export type GuestStatus = {
  readonly machine: string
  readonly boot: string
  readonly chain: {
    /** `ok` once the chain over all disks has been checked and goes on. */
    readonly state: string
    readonly step: number
    readonly bootCheck: string
  }
  readonly database: { readonly rows: number; readonly integrity: string } | null
}

/** What the machine says once its chain and its database are up. */
export const waitForGuest = (address: string, seconds = 150): Promise<GuestStatus> =>
  until(`a guest at ${address} is up`, seconds, async () => {
    const response = await fetch(new URL('/status.json', address), { signal: AbortSignal.timeout(5000) })
    const status = (await response.json()) as GuestStatus
    return status.chain.state !== 'starting' && status.database?.integrity !== '' ? status : null
  })

/** The newest record that the machine found on its disks when it booted; NaN when the chain was damaged. */
export const recordAtBoot = ({ chain }: GuestStatus): number =>
  Number(/^chain ok up to (\d+)$/.exec(chain.bootCheck)?.[1])

/** Where an original of the lab answers: a replica's address is shown in the console, an original's is the lab's own affair. */
export async function originalAddress(home: string, name: string): Promise<string> {
  const file = path.join(home, 'lab/site-a/machines', name, 'machine.json')
  const { adapters } = JSON.parse(await readFile(file, 'utf8')) as {
    readonly adapters: readonly { readonly forwards: readonly { readonly hostPort: number }[] }[]
  }
  return `http://127.0.0.1:${adapters[0]?.forwards[0]?.hostPort}`
}
