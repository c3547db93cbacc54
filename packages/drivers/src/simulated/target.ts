// The target side of a simulated site.
import { Refusal } from '@understudy/base/errors'
import type { TargetPlatform } from '@understudy/engine/ports/target-platform'
import { bootReplica, findRun, offerPoints, requireRun, THE_PLACE, trackFromStart } from './boot-replica.ts'
import { hydrateReplica } from './hydrate.ts'
import { checkBoot } from './networks.ts'
import { refuseMixed, refuseRunning } from './power.ts'
import { probeMachine } from './probe.ts'
import { restoreInto } from './restore-into.ts'
import { textScreen } from './screenshot.ts'
import { simulatedNetworks } from './settings.ts'
import { powerOn, pullPlug, type SimulatedMachine, setCheckpoints } from './simulated-machine.ts'
import type { SimulatedSite } from './simulated-site.ts'

export function simulatedTarget(site: SimulatedSite): TargetPlatform {
  return {
    places: async () => [THE_PLACE],
    async networks(signal) {
      await site.answer('networks', signal)
      return simulatedNetworks
    },
    async preflight(spec, signal) {
      await site.answer('preflight', signal)
      return checkBoot((await site.machines()).values(), spec)
    },
    async boot(spec, signal) {
      await site.answer('boot', signal)
      return await bootReplica(site, spec)
    },
    async reattach({ runId, disks }, signal) {
      await site.answer('reattach', signal)
      const machine = await findRun(site, runId)
      if (machine) offerPoints(machine, disks)
    },
    // Its machines read from the points themselves: nothing lies in between.
    async detach() {},
    async hydrate(runId, onProgress, signal) {
      await site.answer('hydrate', signal)
      await hydrateReplica(site, await requireRun(site, runId), onProgress, signal)
    },
    async screenshot(runId, signal) {
      await site.answer('screenshot', signal)
      const { state } = await requireRun(site, runId)
      const power = state.power === 'running' ? 'running' : 'no signal'
      return textScreen([
        'simulated machine',
        '',
        state.name,
        power,
        new Date(site.now()).toISOString().slice(0, 19),
      ])
    },
    async probe(ref, signal) {
      await site.answer('probe', signal)
      return await probeMachine(site, await site.find(ref), signal)
    },
    async destroy(runId) {
      await site.answer('destroy')
      const machine = await findRun(site, runId)
      if (!machine) return
      await site.remove(machine.state.ref)
      site.changed()
    },
    async adopt(runId) {
      await site.answer('adopt')
      const machine = await requireRun(site, runId)
      refuseIncomplete(machine)
      if (machine.state.run) machine.state.run.adopted = true
      await site.files.saveNow()
      site.changed()
    },
    async stop(runId) {
      await site.answer('stop')
      const machine = await findRun(site, runId)
      if (!machine) return
      pullPlug(machine, site.now())
      await site.files.saveNow()
      site.changed()
    },
    async restoreInto(ref, disks, options, signal) {
      await site.answer('restoreInto', signal)
      return await restoreInto(site, { ref, disks, options, signal })
    },
    async startTracked(ref, trackingId, signal) {
      await site.answer('startTracked', signal)
      const machine = await site.find(ref)
      refuseMixed(machine)
      refuseRunning(machine)
      setCheckpoints(machine, trackingId, [])
      const checkpoint = trackFromStart(machine, trackingId, site)
      powerOn(machine, site.now())
      await site.files.saveNow()
      site.changed()
      return { checkpoint }
    },
  }
}

function refuseIncomplete({ disks, state }: SimulatedMachine): void {
  if (disks.every((disk) => disk.state.origin !== 'point')) return
  throw new Refusal({
    code: 'run/not-hydrated',
    message: `${state.name} still reads from its recovery point`,
    remedy: 'Wait until its disks are complete.',
  })
}
