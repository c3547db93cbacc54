// A fake site that makes no machines: its own come home while a rescue system runs on them. Nobody but a person starts or stops one.
import { Refusal } from '@understudy/base/errors'
import type { Finding, MachineRef } from '@understudy/domain/machines/machine'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import type { RescuedOriginals, TargetPlatform } from '@understudy/engine/ports/target-platform'

export function rescuedSite(of: { readonly source: SourcePlatform; readonly target: TargetPlatform }): {
  readonly source: SourcePlatform
  readonly originals: RescuedOriginals
  rescue(ref: MachineRef, runs: boolean): void
} {
  const rescued = new Set<MachineRef>()
  const refuseByHand = (): Promise<never> => Promise.reject(byHand())
  const obstacle = (ref: MachineRef): Finding | null =>
    rescued.has(ref)
      ? null
      : {
          level: 'blocker',
          code: 'fail-back/no-rescue-system',
          message: 'No rescue system runs on it',
          remedy: 'Start it from the rescue system.',
        }
  return {
    source: {
      ...of.source,
      async powerState(ref, signal) {
        const power = await of.source.powerState(ref, signal)
        return power === 'off' && !rescued.has(ref) ? 'unknown' : power
      },
      async openStoppedDisks(ref, options, signal) {
        if (!rescued.has(ref)) throw byHand()
        const stopped = await of.source.openStoppedDisks(ref, options, signal)
        return { ...stopped, sinceKnown: false, disks: [] }
      },
      start: refuseByHand,
      powerOff: refuseByHand,
    },
    originals: {
      obstacle: async (ref) => obstacle(ref),
      async restoreInto(ref, ...rest) {
        const why = obstacle(ref)
        if (why) throw new Refusal(why)
        return await of.target.restoreInto(ref, ...rest)
      },
      async startTracked(ref, trackingId, signal) {
        if ((await of.source.powerState(ref, signal)) !== 'running')
          await of.target.startTracked(ref, trackingId, signal)
        rescued.delete(ref)
        return { checkpoint: null }
      },
      probe: (ref, signal) => of.target.probe(ref, signal),
    },
    rescue(ref, runs) {
      if (runs) rescued.add(ref)
      else rescued.delete(ref)
    },
  }
}

const byHand = (): Refusal =>
  new Refusal({
    code: 'machine/by-hand',
    message: 'Nothing here can be switched from afar',
    remedy: 'Switch it by hand.',
  })
