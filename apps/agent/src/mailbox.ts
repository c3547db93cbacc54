// What was said and not heard yet, and what was asked and not answered yet. On disk before it goes out, so that a crash neither loses nor
// doubles any of it.
import type { Order, Outcome, Said } from '@understudy/agent-protocol/messages'
import { acknowledge, type Numbered, put } from '@understudy/agent-protocol/outbox'
import { inTurn } from '@understudy/base/in-turn'
import type { Progress, StateFolder } from './state-folder.ts'

export type Mailbox = {
  received(): number
  waiting(): readonly Numbered<Said>[]
  /** Taken and not answered, from old to new. */
  orders(): readonly Order[]
  say(said: Said): Promise<void>
  /** False when it is here already. */
  take(sequence: number, order: Order): Promise<boolean>
  /** The order is done and its answer waits, in one act. */
  answer(orderId: string, outcome: Outcome): Promise<void>
  acknowledged(received: number): Promise<void>
  /** The server has numbers that we have not, as after this folder was brought back from a backup: ours begin behind them. */
  beginBehind(received: number): Promise<void>
}

/** An agent that cannot reach its server for months keeps so many messages and no more. */
const MOST_WAITING = 1000

export async function openMailbox(folder: StateFolder): Promise<Mailbox> {
  let progress = await folder.progress()
  const turn = inTurn()
  const change = (next: (now: Progress) => Progress): Promise<void> =>
    turn(async () => {
      const changed = next(progress)
      if (changed === progress) return
      await folder.saveProgress(changed)
      progress = changed
    })
  return {
    received: () => progress.received,
    waiting: () => progress.outbox.waiting,
    orders: () => progress.orders,
    say: (said) =>
      change((now) =>
        now.outbox.waiting.length >= MOST_WAITING ? now : { ...now, outbox: toKept(put(now.outbox, said)) },
      ),
    async take(sequence, order) {
      let fresh = false
      await change((now) => {
        fresh = sequence > now.received
        return fresh ? { ...now, received: sequence, orders: [...now.orders, order] } : now
      })
      return fresh
    },
    answer: (orderId, outcome) =>
      change((now) => ({
        ...now,
        orders: now.orders.filter(({ id }) => id !== orderId),
        outbox: toKept(put<Said>(now.outbox, { kind: 'answer', orderId, outcome })),
      })),
    acknowledged: (received) =>
      change((now) =>
        now.outbox.waiting.some(({ sequence }) => sequence <= received)
          ? { ...now, outbox: toKept(acknowledge(now.outbox, received)) }
          : now,
      ),
    beginBehind: (received) =>
      change((now) =>
        received <= now.outbox.last
          ? now
          : {
              ...now,
              outbox: toKept(
                now.outbox.waiting.reduce<Parameters<typeof put<Said>>[0]>(
                  (outbox, { body }) => put(outbox, body),
                  { last: received, waiting: [] },
                ),
              ),
            },
      ),
  }
}

const toKept = ({ last, waiting }: ReturnType<typeof put<Said>>): Progress['outbox'] => ({
  last,
  waiting: [...waiting],
})
