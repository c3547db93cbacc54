// Visiting a machine's QEMU: one visitor at a time, briefly, and never leaving the guest held still.
import { Outage } from '@understudy/base/errors'
import type { MachineRef } from '@understudy/domain/machines/machine'
import { connectGuestAgent } from './guest-agent.ts'
import type { Host } from './host.ts'
import type { MachineDefinition } from './machine-definition.ts'
import { HELD_FROZEN, HELD_PAUSED } from './ownership.ts'
import { connectQmp, type Qmp } from './qmp.ts'

/** Where a machine is found. `definition` is null for a QEMU that somebody else started. */
export type MachineLocation = {
  readonly ref: MachineRef
  readonly name: string
  readonly host: Host
  readonly folder: string
  readonly monitorPath: string
  readonly agentPath: string | null
  readonly definition: MachineDefinition | null
}

export type VisitOptions = {
  readonly connectMilliseconds?: number
  readonly signal?: AbortSignal | undefined
}

export interface Visit {
  readonly qmp: Qmp
  /** Ends it; the next visitor may come. Repeatable. */
  end(): void
}

const queues = new WeakMap<Host, Map<string, Promise<void>>>()

/**
 * Connects to the machine's monitor and keeps every other visitor out, here and in other processes, until `end`. A guest
 * that a dead visitor left paused or frozen is let go first. Outage `kvm/socket-closed` when the machine does not run,
 * `kvm/qemu-busy` when somebody else stays too long.
 */
export async function visit(machine: MachineLocation, options: VisitOptions = {}): Promise<Visit> {
  const leave = await enterQueue(machine.host, machine.monitorPath)
  try {
    const qmp = await connectQmp(() => machine.host.connect(machine.monitorPath, options.signal), {
      name: machine.name,
      ...options,
    })
    void qmp.closed.then(leave)
    try {
      await letGo(qmp, machine)
    } catch (error) {
      qmp.close()
      throw error
    }
    return { qmp, end: () => qmp.close() }
  } catch (error) {
    leave()
    throw error
  }
}

/** Runs `work` during one visit. */
export async function withMonitor<Result>(
  machine: MachineLocation,
  work: (qmp: Qmp) => Promise<Result>,
  options: VisitOptions = {},
): Promise<Result> {
  const { qmp, end } = await visit(machine, options)
  try {
    return await work(qmp)
  } finally {
    end()
  }
}

/**
 * Whoever holds a guest still puts a marker object into its QEMU first and stays connected. Since the monitor serves one
 * client, a marker that a new visitor finds belongs to a dead one.
 */
async function letGo(qmp: Qmp, machine: MachineLocation): Promise<void> {
  const objects = await qmp.execute<readonly { readonly name: string }[]>('qom-list', { path: '/objects' })
  const names = new Set(objects.map(({ name }) => name))
  if (names.has(HELD_PAUSED)) {
    const { status } = await qmp.execute<{ readonly status: string }>('query-status')
    if (status === 'paused') await qmp.execute('cont')
    await qmp.execute('object-del', { id: HELD_PAUSED })
  }
  // An agent that does not answer now may do so later: the marker stays, and the next visitor tries again.
  if (names.has(HELD_FROZEN) && (await thaw(machine))) await qmp.execute('object-del', { id: HELD_FROZEN })
}

/** Whether the guest's file systems are known to be writable again. */
export async function thaw(machine: MachineLocation): Promise<boolean> {
  const { agentPath, host, name } = machine
  if (agentPath === null) return true
  try {
    const agent = await connectGuestAgent(() => host.connect(agentPath), { name })
    try {
      await agent.call('guest-fsfreeze-thaw')
      return true
    } finally {
      agent.close()
    }
  } catch (error) {
    if (error instanceof Outage) return false
    throw error
  }
}

/** Waits for the visitors before us in this process. Each of them is bounded in time, so this is too. */
async function enterQueue(host: Host, path: string): Promise<() => void> {
  const paths = queues.get(host) ?? new Map<string, Promise<void>>()
  queues.set(host, paths)
  const before = paths.get(path) ?? Promise.resolve()
  const { promise, resolve } = Promise.withResolvers<void>()
  const mine = before.then(() => promise)
  paths.set(path, mine)
  void mine.then(() => {
    if (paths.get(path) === mine) paths.delete(path)
  })
  await before
  return resolve
}
