// Proof that a machine is off, before its replica boots. Two live copies of one machine would diverge for ever.
import { Refusal, toFailureReport } from '@understudy/base/errors'
import type { Protection } from '@understudy/domain/protection/protection'
import type { EngineParts } from '../engine-parts.ts'
import type { SourcePlatform } from '../ports/source-platform.ts'
import { withinSeconds } from '../sites/bounded-call.ts'
import { sourceOf } from '../sites/platform-of.ts'

export type Fenced =
  | { readonly proven: true; readonly evidence: string }
  | { readonly proven: false; readonly why: string }

/** The code of the refusal when the source is seen on. */
export const SOURCE_RUNS = 'failover/source-runs'

type Machine = Pick<Protection, 'sourceSiteId' | 'sourceRef'>

/**
 * Switches the source off and proves it, or says why that is not possible. Bounded; never throws for a dead site.
 * `beforePowerOff` is called when the machine is seen on, before the plug is pulled.
 */
export async function tryFence(
  parts: EngineParts,
  machine: Machine,
  how: { readonly signal: AbortSignal; readonly beforePowerOff: () => Promise<void> },
): Promise<Fenced> {
  return await askSource(parts, machine, how.signal, async (source, bound): Promise<Fenced> => {
    if ((await source.powerState(machine.sourceRef, bound)) === 'off')
      return { proven: true, evidence: 'It was off already' }
    // An answer that comes too late: by now it may have been decided otherwise, and the machine be in use again.
    bound.throwIfAborted()
    await how.beforePowerOff()
    bound.throwIfAborted()
    const { evidence } = await source.powerOff(machine.sourceRef, bound)
    return { proven: true, evidence }
  })
}

async function askSource(
  parts: EngineParts,
  machine: Machine,
  signal: AbortSignal,
  ask: (source: SourcePlatform, bound: AbortSignal) => Promise<Fenced>,
): Promise<Fenced> {
  try {
    return await withinSeconds(parts, { seconds: parts.config.deadSiteSeconds, signal }, async (bound) =>
      ask(await sourceOf(parts, machine.sourceSiteId), bound),
    )
  } catch (error) {
    if (signal.aborted) throw error
    // Whatever the source site says or does not say, a failover goes on without it: with the operator's word.
    return { proven: false, why: toFailureReport(error).message }
  }
}

/**
 * Right before every boot, also a repeated one: hours may lie between the proof and this moment. Refuses when the source
 * is seen running; a site that does not answer changes nothing about the earlier proof.
 */
export async function refuseRunningSource(
  parts: EngineParts,
  machine: Machine & Pick<Protection, 'name'>,
  signal: AbortSignal,
): Promise<void> {
  const seen = await askSource(parts, machine, signal, async (source, bound): Promise<Fenced> => {
    const power = await source.powerState(machine.sourceRef, bound)
    if (power === 'off' || power === 'unknown') return { proven: true, evidence: power }
    return { proven: false, why: power }
  })
  if (seen.proven || (seen.why !== 'running' && seen.why !== 'paused')) return
  throw new Refusal({
    code: SOURCE_RUNS,
    message: `${machine.name} runs at its source site again; booting its replica would make two of it`,
    remedy: 'Switch it off, then try again.',
  })
}
