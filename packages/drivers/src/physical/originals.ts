// The way home of a server: it, or another computer in its place, runs a rescue system with a receiver, which a person has assigned to it. Its disks are
// written through that, made fit to start there, and started from; then the server's own agent has to come from there.
import { randomUUID } from 'node:crypto'
import type { AgentLine, AgentServer } from '@understudy/agent-protocol/agent-line'
import type { Answer } from '@understudy/agent-protocol/asks'
import type { ReceiverLine, StandIn } from '@understudy/agent-protocol/receiver-line'
import { Outage, Refusal } from '@understudy/base/errors'
import type { Clock } from '@understudy/base/instant'
import { anotherDisk, inUse, tooSmall } from '@understudy/domain/failover/receiver'
import type { Finding, MachineRef } from '@understudy/domain/machines/machine'
import type { SiteId } from '@understudy/domain/sites/site'
import type { RescuedDisk, RescuedOriginals } from '@understudy/engine/ports/target-platform'
import { untilDone } from './until-done.ts'
import { writeHome } from './write-home.ts'

export type OriginalsDeps = {
  readonly line: AgentLine
  readonly receivers: ReceiverLine
  readonly clock: Clock
  readonly sleep: (milliseconds: number, signal?: AbortSignal) => Promise<void>
}

/** A list of what stands in the way is waited for by people. */
const ASK_SECONDS = 15
/** Firmware of big servers takes its minutes before anything of ours is started. */
const HOME_SECONDS = 20 * 60
const LOOK_MILLISECONDS = 2000

export function physicalOriginals(siteId: SiteId, deps: OriginalsDeps): RescuedOriginals {
  const { line, receivers, clock, sleep } = deps
  const serverOf = async (ref: MachineRef): Promise<AgentServer | null> =>
    (await line.servers(siteId)).find(({ identity }) => identity === ref) ?? null
  const describe = async (
    ref: MachineRef,
    signal?: AbortSignal,
  ): Promise<Answer<'describe-server'> | null> => {
    const server = await serverOf(ref)
    if (!server?.connected) return null
    return await quickly((bound) => line.ask(server.agentId, 'describe-server', {}, bound), signal)
  }

  const obstacle = async (
    ref: MachineRef,
    disks: readonly RescuedDisk[],
    signal?: AbortSignal,
  ): Promise<Refusal | Outage | null> => {
    const standIn = await receivers.standInOf(siteId, ref)
    if ((await serverOf(ref))?.connected) return serverRuns()
    if (!standIn) return noneAssigned(await receivers.free(siteId))
    for (const { key } of disks)
      if (!standIn.disks.some((disk) => disk.key === key)) return noDiskFor(standIn, key)
    if (!standIn.connected) return receiverAway(standIn)
    try {
      const seen = await line.ask(standIn.agentId, 'describe-receiver', {}, within(ASK_SECONDS, signal))
      return whyNotWritable(standIn, disks, seen.disks)
    } catch (error) {
      signal?.throwIfAborted()
      const isOld = error instanceof Refusal && TOO_OLD.includes(error.code)
      return isOld ? tooOld(standIn) : receiverAway(standIn)
    }
  }

  const restart = async (standIn: StandIn, signal?: AbortSignal): Promise<void> => {
    const { id: assignment, agentId } = standIn
    if (standIn.state !== 'written' && standIn.state !== 'restarting') throw notWritten(standIn)
    if (!standIn.connected) throw receiverAway(standIn)
    await flush(line, standIn, signal)
    const work = randomUUID()
    const { changes } = await untilDone(
      () => line.ask(agentId, 'finish-received', { work, assignment }, signal),
      signal,
    )
    await receivers.tellFinished(standIn, changes)
    await receivers.expectHome(standIn)
    await receivers.note(assignment, 'restarting')
    // Its answer may go down with it.
    await quickly((bound) => line.ask(agentId, 'restart-received', { assignment }, bound), signal)
  }

  const untilHome = async (ref: MachineRef, standIn: StandIn, signal?: AbortSignal): Promise<void> => {
    const until = clock.now() + HOME_SECONDS * 1000
    while ((await describe(ref, signal)) === null) {
      signal?.throwIfAborted()
      if (clock.now() >= until) {
        const now = await receivers.standInOf(siteId, ref)
        throw now?.connected ? notRestarted(standIn) : notHome(standIn)
      }
      await sleep(LOOK_MILLISECONDS, signal)
    }
  }

  return {
    async obstacle(ref, disks, signal) {
      const found = await obstacle(ref, disks, signal)
      return found && toFinding(found)
    },
    async restoreInto(ref, disks, { onProgress }, signal) {
      const found = await obstacle(ref, disks, signal)
      if (found) throw found
      const standIn = await receivers.standInOf(siteId, ref)
      if (!standIn) throw noneAssigned(0)
      const release = receivers.hold(standIn.id)
      try {
        const wanted = standIn.disks.map(({ key, path, bytes, serial }) => ({ key, path, bytes, serial }))
        const begin = { assignment: standIn.id, epoch: standIn.epoch, disks: wanted }
        await line.ask(standIn.agentId, 'begin-receiving', begin, signal)
        // Interrupted, or not written by us yet: nobody knows what is where, whatever is said of an original elsewhere.
        const trusted = standIn.state === 'written'
        await receivers.note(standIn.id, 'writing')
        const totalBytes = disks.reduce((sum, disk) => sum + disk.bytes, 0)
        let doneBytes = 0
        let writtenBytes = 0
        for (const disk of disks) {
          const before = doneBytes
          const onReached = (offset: number): void => onProgress({ doneBytes: before + offset, totalBytes })
          writtenBytes += await writeHome({
            line: { ask: line.ask, write: receivers.write },
            standIn,
            disk,
            signal,
            trusted,
            onReached,
          })
          doneBytes += disk.bytes
          onProgress({ doneBytes, totalBytes })
        }
        await flush(line, standIn, signal)
        await receivers.note(standIn.id, 'written')
        return { writtenBytes }
      } finally {
        release()
      }
    },
    async startTracked(ref, _trackingId, signal) {
      const standIn = await receivers.standInOf(siteId, ref)
      if (!standIn) {
        // It has come home before, and whoever repeats this has not heard of it.
        if ((await describe(ref, signal)) !== null) return { checkpoint: null }
        throw noneAssigned(await receivers.free(siteId))
      }
      const release = receivers.hold(standIn.id)
      try {
        const isHome = standIn.state === 'restarting' && (await serverOf(ref))?.connected === true
        if (!isHome && (await serverOf(ref))?.connected) throw serverRuns()
        if (!isHome && (standIn.state !== 'restarting' || standIn.connected)) await restart(standIn, signal)
        await untilHome(ref, standIn, signal)
        await receivers.cameHome(standIn)
        return { checkpoint: null }
      } finally {
        release()
      }
    },
    async probe(ref, signal) {
      const server = await serverOf(ref)
      if (!server)
        throw new Refusal({
          code: 'machine/not-found',
          message: `No agent of this site runs on the server ${ref}`,
          remedy: 'Enrol an agent on it again.',
        })
      const seen = await describe(ref, signal)
      if (seen === null) return { addresses: [], answered: false, note: 'its agent does not answer' }
      return {
        addresses: seen.hardware.adapters.flatMap(addressesOf),
        answered: true,
        note: 'its agent answers',
      }
    },
  }
}

async function flush(
  line: AgentLine,
  { agentId, id: assignment }: StandIn,
  signal?: AbortSignal,
): Promise<void> {
  const work = randomUUID()
  await untilDone(() => line.ask(agentId, 'flush-received', { work, assignment }, signal), signal)
}

function whyNotWritable(
  standIn: StandIn,
  disks: readonly RescuedDisk[],
  there: Answer<'describe-receiver'>['disks'],
): Refusal | null {
  for (const { key, bytes } of disks) {
    const chosen = standIn.disks.find((disk) => disk.key === key)
    if (!chosen) return noDiskFor(standIn, key)
    const now = there.find(({ path }) => path === chosen.path)
    if (!now || now.bytes !== chosen.bytes || now.serial !== chosen.serial) return anotherDisk(chosen.path)
    if (now.blocked !== null) return inUse(now.path, now.blocked)
    if (now.bytes < bytes)
      return new Refusal({
        code: 'receiver/disk-too-small',
        message: tooSmall(now, { key, bytes }),
        remedy: 'Put a bigger disk in, take the assignment back, and assign the receiver anew.',
      })
  }
  return null
}

/** As adapters are told: name, then addresses with their prefixes. */
const addressesOf = ({ model }: { readonly model: string }): readonly string[] =>
  model
    .split(', ')
    .slice(1)
    .map((text) => text.replace(/\/\d+$/, ''))
    .filter((address) => /^[\da-f.:]+$/i.test(address) && !address.toLowerCase().startsWith('fe80:'))

const within = (seconds: number, signal?: AbortSignal): AbortSignal => {
  const late = AbortSignal.timeout(seconds * 1000)
  return signal ? AbortSignal.any([signal, late]) : late
}

/** Null: no answer, which proves nothing. */
async function quickly<Result>(
  ask: (signal: AbortSignal) => Promise<Result>,
  signal?: AbortSignal,
): Promise<Result | null> {
  try {
    return await ask(within(ASK_SECONDS, signal))
  } catch {
    signal?.throwIfAborted()
    return null
  }
}

const toFinding = ({ code, message, remedy }: Refusal | Outage): Finding => ({
  level: 'blocker',
  code,
  message,
  remedy,
})

/** What agents of before receivers say to what they are asked. */
const TOO_OLD = ['agent/ask-not-known', 'agent/too-old', 'agent/bad-message']

const noneAssigned = (free: number): Refusal =>
  new Refusal({
    code: 'receiver/none-assigned',
    message:
      free === 0
        ? 'No rescue system with a receiver is connected to take the server in'
        : 'No receiver is assigned to the server',
    remedy:
      free === 0
        ? 'Start the server, or another computer for it, from the rescue system; then choose it under Agents of the site: Use for a server.'
        : 'Choose the receiver, and its disks, under Agents of the site: Use for a server.',
  })

const receiverAway = ({ agentName }: StandIn): Outage =>
  new Outage({
    code: 'receiver/away',
    message: `The receiver ${agentName}, which stands in for the server, does not answer`,
    remedy:
      'See whether its rescue system runs and reaches this server. If it was started anew it has another receiver: take the assignment back, and assign that one.',
  })

const noDiskFor = ({ agentName }: StandIn, key: string): Refusal =>
  new Refusal({
    code: 'receiver/disk-missing',
    message: `No disk of the receiver ${agentName} was chosen for the disk ${key} of the server`,
    remedy: 'Take the assignment back, and choose a disk for each disk of the server.',
  })

const tooOld = ({ agentName }: StandIn): Refusal =>
  new Refusal({
    code: 'receiver/too-old',
    message: `The rescue system of the receiver ${agentName} is of another version, which cannot do this`,
    remedy: 'Build the rescue system anew with this version, and start the computer from it.',
  })

const serverRuns = (): Refusal =>
  new Refusal({
    code: 'fail-back/original-runs',
    message: "The server's own system runs: its agent is connected",
    remedy:
      'Switch it off, or start it from the rescue system. What it wrote since the failover will be overwritten.',
  })

const notWritten = ({ agentName }: StandIn): Refusal =>
  new Refusal({
    code: 'receiver/not-written',
    message: `The disks of the receiver ${agentName} are not all written`,
    remedy: 'Repeat the fail-back: what is there already is not written again.',
  })

const notRestarted = ({ agentName }: StandIn): Outage =>
  new Outage({
    code: 'receiver/not-restarted',
    message: `The computer of the receiver ${agentName} still runs the rescue system`,
    remedy: 'Take the rescue medium out and start it from its disks by hand, then repeat this step.',
  })

const notHome = ({ agentName }: StandIn): Outage =>
  new Outage({
    code: 'receiver/not-home',
    message: `The server was restarted from the disks that were written through ${agentName}, and its own agent has not come within ${HOME_SECONDS / 60} min`,
    remedy:
      'Look at its screen: it may start from the wrong disk or the rescue medium, or have no network. Once it runs, repeat this step: what is written stays.',
  })
