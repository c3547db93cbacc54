// The source port over the very server that this process runs on: no hypervisor below, no module in its kernel.
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { Refusal } from '@understudy/base/errors'
import { inTurn } from '@understudy/base/in-turn'
import type { Instant } from '@understudy/base/instant'
import type { GuestHardware } from '@understudy/domain/boot-check/guest-hardware'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import { openAlignedMemory } from './aligned-memory.ts'
import { readBootFacts } from './boot-facts.ts'
import { checkEligibility, SHORTEST_INTERVAL_SECONDS } from './eligibility.ts'
import { machineNotFound } from './failures.ts'
import { glance } from './glance.ts'
import { type HoldGate, openHoldGate } from './hold-gate.ts'
import { type LinuxParts, openPoint } from './open-point.ts'
import { preparationPlace, prepareFor } from './preparation/prepare-for.ts'
import { findPreparation, undoPreparation, undoUnfinishedPreparation } from './preparation/prepare-server.ts'
import { readServerFacts, toDiscovered } from './server-facts.ts'
import type { LinuxSettings } from './settings.ts'
import { removeTraceInstance, sweepTraceInstances } from './trace-instance.ts'
import { instanceName, openTrackings } from './trackings.ts'

export type LinuxSource = SourcePlatform & {
  /** Ends all tracking: the next process begins anew. */
  close(): Promise<void>
  /** What powerOff of a last point has promised, at once: its answer has arrived where it was to. Else the power goes after a grace. */
  cutPower(): void
}

export type LinuxSourceOptions = {
  readonly settings: LinuxSettings
  readonly now: () => Instant
  /** Where what was prepared in the server is kept. Left out: nothing can be prepared in it. */
  readonly preparationFolder?: string
  /** Of everything else in this process that writes files. Left out: nothing does. */
  readonly gate?: HoldGate
  /** For tests: called while the server is held still and before it goes on; it must not write to its disks. */
  readonly whileHeld?: () => Promise<void>
}

const LOOK_MILLISECONDS = 10_000

export async function openLinuxSource({
  settings,
  now,
  preparationFolder,
  gate = openHoldGate(),
  whileHeld,
}: LinuxSourceOptions): Promise<LinuxSource> {
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'latin1')).trim()
  await sweepTraceInstances(settings.tracefs)
  const trackings = openTrackings({ bootId, tracefs: settings.tracefs, buffersKiB: settings.buffersKiB })
  const parts: LinuxParts = {
    settings,
    trackings,
    memory: openAlignedMemory(),
    allowance: { bytes: settings.limits.holdBytes },
    now,
    gate,
    ...(whileHeld ? { whileHeld } : {}),
    switchedOff: null,
  }
  const find = async (ref: string, signal?: AbortSignal) => {
    const facts = await readServerFacts(settings, signal)
    if (facts.ref !== ref) throw machineNotFound(ref)
    return facts
  }
  const inventory: LinuxSource['inventory'] = async (signal) => [
    toDiscovered(await readServerFacts(settings, signal)),
  ]
  const preparing = inTurn()
  const place = preparationFolder === undefined ? null : preparationPlace(preparationFolder)
  // Whoever died in the middle of it left half of it. Where that fails, the next preparation begins with it, or the end of the protection.
  if (place !== null) preparing(() => undoUnfinishedPreparation(place)).catch(() => {})
  return {
    shortestIntervalSeconds: SHORTEST_INTERVAL_SECONDS,
    inventory,
    watch(onChange, signal) {
      void look(glance, onChange, signal)
    },
    eligibility: async (ref, signal) => checkEligibility(await find(ref, signal)),
    async bootFacts(ref, signal) {
      await find(ref, signal)
      return await readBootFacts(signal)
    },
    ...(place === null
      ? {}
      : {
          async prepareBoot(ref: string, hardware: readonly GuestHardware[], signal?: AbortSignal) {
            await find(ref, signal)
            return await preparing(() => prepareFor(place, hardware, now(), signal))
          },
          async findPreparation(ref: string, signal?: AbortSignal) {
            await find(ref, signal)
            return await findPreparation(place)
          },
        }),
    openPoint: (request, signal) => openPoint(parts, request, signal),
    async stopTracking(_ref, trackingId) {
      await trackings.stop(trackingId)
      await removeTraceInstance(settings.tracefs, instanceName(trackingId))
      if (place !== null) await preparing(() => undoPreparation(place))
    },
    // Whoever answers runs.
    powerState: async (ref, signal) => (await find(ref, signal)) && 'running',
    async shutDown() {
      throw cannotFromInside()
    },
    async powerOff() {
      throw cannotFromInside()
    },
    async start(ref, signal) {
      await find(ref, signal)
    },
    async openStoppedDisks() {
      throw cannotFromInside()
    },
    shutsDownAtPoint: true,
    cutPower: () => parts.switchedOff?.cut(),
    close: () => trackings.close(),
  }
}

const cannotFromInside = (): Refusal =>
  new Refusal({
    code: 'linux/cannot-be-stopped',
    message:
      'A server that is off cannot be read by its own agent, so there is no last copy after a shut-down',
    remedy: 'Shut it down by hand, then start an unplanned failover and say that it is off.',
  })

/** Hints only. What cannot be read just now is a change as well: whoever listens finds out by asking. */
async function look(read: () => Promise<string>, onChange: () => void, signal: AbortSignal): Promise<void> {
  let before: string | null = null
  while (!signal.aborted) {
    const seen = await read().catch(() => 'unreadable')
    if (before !== null && seen !== before) onChange()
    before = seen
    await sleep(LOOK_MILLISECONDS, undefined, { signal, ref: false }).catch(() => undefined)
  }
}
