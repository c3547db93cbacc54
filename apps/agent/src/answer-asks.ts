// Answers asks over whichever connection there is when the answer is known: it is the server that asks again after a cut.
import { type AskKind, isAskKind, toFailureText } from '@understudy/agent-protocol/asks'
import type { FromAgent, FromServer } from '@understudy/agent-protocol/messages'
import { Outage, Refusal } from '@understudy/base/errors'
import { agentVersion } from './agent-version.ts'

type Ask = Extract<FromServer, { type: 'ask' }>
type Reply = Extract<FromAgent, { type: 'reply' }>

/** Of the disks of this server, or of a receiver. */
export type AskDesk = { answer(kind: AskKind, body: unknown, signal: AbortSignal): Promise<unknown> }

export type Answerer = {
  /** One that is being worked on already is not begun again. */
  ask(ask: Ask): void
  withdraw(id: string): void
  isBusy(): boolean
  stop(): void
}

const MOST_AT_ONCE = 200
/** A longer message would end the connection, and be asked for again on the next one. */
const LONGEST_REPLY_BYTES = 250 * 1024

/** `told`: what was asked for is done, and its answer was given to the line. */
export function createAnswerer(
  desk: AskDesk | null,
  say: (reply: Reply) => void,
  told: (kind: string) => void = () => {},
): Answerer {
  const working = new Map<string, AbortController>()
  const work = async ({ kind, body }: Ask, signal: AbortSignal): Promise<Reply['outcome']> => {
    try {
      if (!desk) throw noSource()
      if (!isAskKind(kind)) throw notKnown(kind)
      const answer = await desk.answer(kind, body, signal)
      if (Buffer.byteLength(JSON.stringify(answer) ?? '') > LONGEST_REPLY_BYTES) throw tooLong(kind)
      return { kind: 'answer', body: answer }
    } catch (error) {
      return { kind: 'failed', failure: toFailureText(error) }
    }
  }
  return {
    ask(ask) {
      if (working.has(ask.id)) return
      if (working.size >= MOST_AT_ONCE) {
        const failure = toFailureText(tooMany())
        return say({ type: 'reply', id: ask.id, outcome: { kind: 'failed', failure } })
      }
      const stop = new AbortController()
      working.set(ask.id, stop)
      void work(ask, stop.signal).then((outcome) => {
        working.delete(ask.id)
        if (!stop.signal.aborted) say({ type: 'reply', id: ask.id, outcome })
        if (outcome.kind === 'answer') told(ask.kind)
      })
    },
    withdraw: (id) => working.get(id)?.abort(gone()),
    isBusy: () => working.size > 0,
    stop() {
      for (const each of working.values()) each.abort(gone())
    },
  }
}

const gone = (): DOMException => new DOMException('It is not wanted any more', 'AbortError')

export const noSource = (): Refusal =>
  new Refusal({
    code: 'agent/no-source',
    message: `This agent (${agentVersion}) cannot read the disks of its server`,
    remedy: 'Enrol it as a protected server, on a system that it can protect.',
  })

const tooLong = (kind: string): Refusal =>
  new Refusal({
    code: 'agent/answer-too-long',
    message: `What the agent knows of "${kind}" is longer than a message may be`,
    remedy:
      'Look at the server: it may have hundreds of disks, or of findings. Exclude what is not to be protected.',
  })

const tooMany = (): Outage =>
  new Outage({
    code: 'agent/too-many-asks',
    message: `The agent works on ${MOST_AT_ONCE} asks already`,
    remedy: 'It is tried again. If it stays, look at the log of the agent.',
  })

const notKnown = (kind: string): Refusal =>
  new Refusal({
    code: 'agent/ask-not-known',
    message: `This agent (${agentVersion}) does not know what "${kind.slice(0, 60)}" is`,
    remedy: 'Bring it to the version of the server.',
  })
