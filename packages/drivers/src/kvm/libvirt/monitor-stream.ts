// QMP for the rest of this driver, carried by virsh: a stream that answers as a monitor socket does, so points are taken by the
// very same code (see connectQmp). Each line becomes `virsh qemu-monitor-command`; several lines in one write stay one write.
//
// virsh brings no events. Three are needed, and all three follow from what was commanded here:
//     STOP, RESUME           their times are when we sent `stop` and when `cont` was answered: the pause is never understated
//     BLOCK_EXPORT_DELETED   is said once QEMU no longer lists the export
import { Duplex } from 'node:stream'
import { StringDecoder } from 'node:string_decoder'
import { setTimeout as sleep } from 'node:timers/promises'
import { Outage } from '@understudy/base/errors'
import type { MachineRef } from '@understudy/domain/machines/machine'
import { jsonWord, type VirshSession, word } from './virsh-session.ts'

const LOOK_MILLISECONDS = 20
const LOOKS = 500

type Command = {
  readonly execute: string
  readonly arguments?: Readonly<Record<string, unknown>>
  readonly id?: number
}
type Reply = { readonly return?: unknown; readonly error?: unknown }

/** The session is the stream's from now on. The greeting comes first, as from QEMU. */
export function monitorStream(session: VirshSession, ref: MachineRef): Duplex {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  const stream = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      const lines = (rest + decoder.write(chunk)).split('\n')
      rest = lines.pop() ?? ''
      const sentAt = Date.now()
      for (const line of lines) if (line.trim() !== '') void answer(JSON.parse(line) as Command, sentAt)
      done()
    },
    destroy(error, done) {
      session.close()
      done(error)
    },
  })
  void session.closed.then(() => stream.destroy())

  const say = (message: unknown): void => {
    if (!stream.destroyed) stream.push(`${JSON.stringify(message)}\n`)
  }
  const sayEvent = (event: string, at: number, data: unknown = {}): void =>
    say({ event, data, timestamp: { seconds: 0, microseconds: at * 1000 } })
  const answer = async ({ id, ...command }: Command, sentAt: number): Promise<void> => {
    try {
      if (command.execute === 'qmp_capabilities') return say({ return: {}, id })
      const { return: value, error } = await ask(session, ref, command)
      if (error === undefined && command.execute === 'stop') sayEvent('STOP', sentAt)
      if (error === undefined && command.execute === 'cont') sayEvent('RESUME', Date.now())
      say(error === undefined ? { return: value, id } : { error, id })
      if (error === undefined && command.execute === 'block-export-del') await sayExportEnd(command)
    } catch (cause) {
      stream.destroy(cause instanceof Error ? cause : new Error(String(cause)))
    }
  }
  const sayExportEnd = async (command: Command): Promise<void> => {
    const id = command.arguments?.id
    for (let look = 0; look < LOOKS && !stream.destroyed; look++) {
      const reply = await ask(session, ref, { execute: 'query-block-exports' })
      const exports = (reply.return ?? []) as readonly { readonly id: string }[]
      if (!exports.some((one) => one.id === id)) return sayEvent('BLOCK_EXPORT_DELETED', Date.now(), { id })
      await sleep(LOOK_MILLISECONDS)
    }
  }
  ask(session, ref, { execute: 'query-version' }).then(
    (reply) => say({ QMP: { version: reply.return } }),
    (cause: unknown) => stream.destroy(cause instanceof Error ? cause : new Error(String(cause))),
  )
  return stream
}

async function ask(session: VirshSession, ref: MachineRef, command: Omit<Command, 'id'>): Promise<Reply> {
  const output = await session.ask(`qemu-monitor-command ${word(ref)} ${jsonWord(command)}`)
  const line = output.split('\n').find((candidate) => candidate.startsWith('{'))
  if (line !== undefined) return JSON.parse(line) as Reply
  throw new Outage({
    code: 'kvm/libvirt-failed',
    message: `virsh answered ${command.execute} with "${output.slice(0, 200)}"`,
    remedy: 'See whether this virsh is of the same version as libvirtd.',
  })
}
