// Whether the machine of a run is on, as its site says.
import { Outage, Refusal } from '@understudy/base/errors'
import type { Run } from '@understudy/domain/failover/failover'
import type { PowerState } from '@understudy/domain/machines/machine'
import type { EngineParts } from '../engine-parts.ts'
import { withinSeconds } from '../sites/bounded-call.ts'
import { platformOf } from '../sites/platform-of.ts'

/** `power` null: it could not be asked just now. */
type Sight = { readonly power: PowerState | null; readonly why: string }

/** Null: nothing runs yet, or this kind of site cannot be asked. A machine that is not there is as off as one can be. */
export async function seePower(
  parts: EngineParts,
  { targetSiteId, machineRef }: Pick<Run, 'targetSiteId' | 'machineRef'>,
  signal: AbortSignal,
): Promise<Sight | null> {
  if (machineRef === null) return null
  try {
    const bound = { seconds: parts.config.deadSiteSeconds, signal }
    return await withinSeconds(parts, bound, async (within) => {
      const { source } = await platformOf(parts, targetSiteId)
      if (source === undefined) return null
      return { power: await source.powerState(machineRef, within), why: 'it is off' }
    })
  } catch (error) {
    if (error instanceof Outage) return { power: null, why: error.message }
    if (error instanceof Refusal) return { power: 'off', why: error.message }
    throw error
  }
}

const LOOK_MILLISECONDS = 15_000
/** A machine that is restarted at its site is off in between. */
const LOOKS_OFF = 4

/** Resolves when the machine of the run has been off at each look of a minute. Rejects when aborted. */
export async function whenOff(
  parts: EngineParts,
  run: Pick<Run, 'targetSiteId' | 'machineRef'>,
  signal: AbortSignal,
): Promise<void> {
  for (let looksOff = 0; looksOff < LOOKS_OFF; ) {
    await parts.sleep(LOOK_MILLISECONDS, signal)
    const power = (await seePower(parts, run, signal))?.power
    looksOff = power === 'off' ? looksOff + 1 : 0
  }
}
