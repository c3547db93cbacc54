// Numbered messages over a line that breaks: each side keeps what it said until the other has it, and takes each number once. Both numbers
// outlive the process, so that neither a cut nor a crash loses or doubles anything.

export type Numbered<Body> = { readonly sequence: number; readonly body: Body }

/** To be kept on disk before it is sent. */
export type Outbox<Body> = {
  /** Of the message that was put in last. */
  readonly last: number
  /** Not acknowledged yet, in order. */
  readonly waiting: readonly Numbered<Body>[]
}

export const emptyOutbox = <Body>(): Outbox<Body> => ({ last: 0, waiting: [] })

export function put<Body>({ last, waiting }: Outbox<Body>, body: Body): Outbox<Body> {
  return { last: last + 1, waiting: [...waiting, { sequence: last + 1, body }] }
}

/** The other side has everything up to here. */
export const acknowledge = <Body>(outbox: Outbox<Body>, received: number): Outbox<Body> => ({
  ...outbox,
  waiting: outbox.waiting.filter(({ sequence }) => sequence > received),
})

/** `again`: it is here already, and only to be acknowledged. `gap`: one before it is missing: the connection is begun anew. */
export type Arrival = 'next' | 'again' | 'gap'

export function judgeArrival(received: number, sequence: number): Arrival {
  if (sequence <= received) return 'again'
  return sequence === received + 1 ? 'next' : 'gap'
}
