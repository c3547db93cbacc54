import fc from 'fast-check'
import { expect, test } from 'vitest'
import { acknowledge, emptyOutbox, judgeArrival, type Numbered, type Outbox, put } from './outbox.ts'

/** One side that says and one that hears; the line between them holds what is under way and loses it when it is cut. */
type World = {
  outbox: Outbox<string>
  received: number
  heard: string[]
  line: Numbered<string>[]
  acks: number[]
}
type Happening = 'say' | 'arrive' | 'acknowledge' | 'cut' | 'replay'

function happen(world: World, what: Happening): void {
  switch (what) {
    case 'say':
      world.outbox = put(world.outbox, `message ${world.outbox.last + 1}`)
      world.line.push(...world.outbox.waiting.slice(-1))
      return
    case 'arrive': {
      const message = world.line.shift()
      if (!message) return
      const arrival = judgeArrival(world.received, message.sequence)
      if (arrival === 'gap') {
        happen(world, 'cut')
        return
      }
      if (arrival === 'next') {
        world.heard.push(message.body)
        world.received = message.sequence
      }
      world.acks.push(world.received)
      return
    }
    case 'acknowledge':
      world.outbox = acknowledge(world.outbox, world.acks.shift() ?? 0)
      return
    case 'replay':
      // Somebody between sends what is under way a second time, the newest first.
      world.line.push(...world.line.toReversed())
      return
    case 'cut':
      // The next connection begins with what the other side has, and everything behind it is sent again.
      world.acks = []
      world.outbox = acknowledge(world.outbox, world.received)
      world.line = [...world.outbox.waiting]
  }
}

test('whatever is cut, lost or sent twice, everything is heard once and in order', () => {
  const happening = fc.constantFrom<Happening>(
    'say',
    'say',
    'arrive',
    'arrive',
    'acknowledge',
    'cut',
    'replay',
  )
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 120 }), (happenings) => {
      const world: World = { outbox: emptyOutbox(), received: 0, heard: [], line: [], acks: [] }
      for (const each of happenings) happen(world, each)
      happen(world, 'cut')
      while (world.line.length > 0) happen(world, 'arrive')
      while (world.acks.length > 0) happen(world, 'acknowledge')
      expect(world.heard).toEqual(
        Array.from({ length: world.outbox.last }, (_, index) => `message ${index + 1}`),
      )
      expect(world.outbox.waiting).toEqual([])
    }),
    { numRuns: 500 },
  )
})
