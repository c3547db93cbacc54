// Answers asks over whichever connection there is when the answer is known: it is the server that asks again after a cut.
import { isAskKind, toFailureText } from '@understudy/agent-protocol/asks'
import type { FromAgent, FromServer } from '@understudy/agent-protocol/messages'
import { Refusal } from '@understudy/base/errors'
import type { SourceDesk } from '@understudy/drivers/physical/source-desk'
import { agentVersion } from './agent-version.ts'

type Ask = Extract<FromServer, { type: 'ask' }>
type Reply = Extract<FromAgent, { type: 'reply' }>

export type Answerer = {
  /** One that is being worked on already is not begun again. */
  ask(ask: Ask): void
  withdraw(id: string): void
  stop(): void
}

const MOST_AT_ONCE = 200

export function createAnswerer(desk: SourceDesk | null, say: (reply: Reply) => void): Answerer {
  const working = new Map<string, AbortController>()
  const work = async ({ kind, body }: Ask, signal: AbortSignal): Promise<Reply['outcome']> => {
    try {
      if (!desk) throw noSource()
      if (!isAskKind(kind)) throw notKnown(kind)
      return { kind: 'answer', body: await desk.answer(kind, body, signal) }
    } catch (error) {
      return { kind: 'failed', failure: toFailureText(error) }
    }
  }
  return {
    ask(ask) {
      if (working.has(ask.id) || working.size >= MOST_AT_ONCE) return
      const stop = new AbortController()
      working.set(ask.id, stop)
      void work(ask, stop.signal).then((outcome) => {
        working.delete(ask.id)
        if (!stop.signal.aborted) say({ type: 'reply', id: ask.id, outcome })
      })
    },
    withdraw: (id) => working.get(id)?.abort(gone()),
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

const notKnown = (kind: string): Refusal =>
  new Refusal({
    code: 'agent/ask-not-known',
    message: `This agent (${agentVersion}) does not know what "${kind.slice(0, 60)}" is`,
    remedy: 'Bring it to the version of the server.',
  })
